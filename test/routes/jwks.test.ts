import { createHmac, createPublicKey } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createRemoteJWKSet, jwtVerify, SignJWT, UnsecuredJWT, importPKCS8, type JWTHeaderParameters, type JWTVerifyGetKey } from 'jose'
import t from 'tap'
import { parsePrivateKeys } from '#src/tokens/private-keys'
import {
  build, claimsOf, environment, postSession, privateKey, spawnService, startRedis, startService, tempFolder,
  type PrivateRedis, type Service
} from '../support/helper.ts'

/** Checks the JWKS and its tokens with jose, an implementation independent of the signer. */

const PATH = '/.well-known/jwks.json'
const algorithms = ['EdDSA', 'ES256', 'RS256'] as const

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

/** Fetches the JWKS again for every unknown kid. */
const remote = (publicUrl: string): JWTVerifyGetKey => createRemoteJWKSet(new URL(PATH, publicUrl), { cooldownDuration: 0 })

const expected = { issuer: 'ktor.io', subject: 'Authentication', algorithms: [...algorithms] }

t.test('the JWKS is empty when only secrets are configured', async t => {
  const { public: app, internal } = await build(t, redis)
  const { statusCode, headers, body } = await app.inject(PATH)
  t.same([statusCode, body], [200, '{"keys":[]}'])
  t.match(headers, { 'cache-control': 'public, max-age=300', 'content-type': /^application\/json/ })
  t.match((await app.inject(`${PATH}/x`)).headers, { 'cache-control': 'no-store' }, 'other answers are not cacheable')
  t.equal((await app.inject({ method: 'HEAD', url: PATH })).statusCode, 200)
  t.equal((await internal.inject(PATH)).statusCode, 404, 'the internal listener does not serve it')
})

t.test('serves every public key with the members that a verifier needs, and no private member', async t => {
  const pems = algorithms.map(privateKey)
  const { public: app } = await build(t, redis, { ACCESS_TOKEN_PRIVATE_KEYS: pems.join(',') })
  const { keys } = (await app.inject(PATH)).json() as { keys: Array<Record<string, string>> }
  const kids = pems.map(pem => parsePrivateKeys(pem)[0]!.kid)
  t.same(keys.map(key => Object.keys(key).sort().join()),
    ['alg,crv,kid,kty,use,x', 'alg,crv,kid,kty,use,x,y', 'alg,e,kid,kty,n,use'])
  t.match(keys, [
    { kty: 'OKP', crv: 'Ed25519', alg: 'EdDSA', use: 'sig', kid: kids[0] },
    { kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig', kid: kids[1] },
    { kty: 'RSA', e: 'AQAB', alg: 'RS256', use: 'sig', kid: kids[2] }
  ])
  t.same(keys.map(key => createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'pem' })),
    pems.map(pem => createPublicKey(pem).export({ type: 'spki', format: 'pem' })))

  // Even if the set contained a private member.
  app.jwks.push({ ...app.jwks[0]!, d: 'private' } as never)
  t.notOk((await app.inject(PATH)).body.includes('private'))
})

for (const algorithm of algorithms) {
  t.test(`${algorithm}: jose verifies tokens of a running service, and rejects imitations`, async t => {
    const folder = await tempFolder(t)
    const pem = privateKey(algorithm)
    await writeFile(join(folder, 'key.pem'), pem)
    const service = await build(t, redis, { NODE_ENV: 'production', ACCESS_TOKEN_SECRETS: '', ACCESS_TOKEN_PRIVATE_KEYS: join(folder, 'key.pem') })
    const url = await service.public.listen({ host: '127.0.0.1', port: 0 })
    const opened = await service.open()
    const refreshed = (await service.refresh(opened.refreshToken)).json() as typeof opened
    const keys = remote(url)
    const { kid } = parsePrivateKeys(pem)[0]!
    for (const { token } of [opened, refreshed]) {
      const { payload, protectedHeader } = await jwtVerify(token, keys, expected)
      t.same(payload, { ...claimsOf(token), sub: 'Authentication', iss: 'ktor.io', id: 1 })
      t.same(protectedHeader, { alg: algorithm, typ: 'JWT', kid })
    }
    t.equal((await service.refresh(refreshed.token)).statusCode, 400, 'an access token is rejected by the refresh endpoint')
    await t.rejects(jwtVerify(refreshed.refreshToken, keys, expected), 'a refresh token is rejected as an access token')

    const claims = claimsOf(opened.token)
    const key = await importPKCS8(pem, algorithm)
    const forge = async (header: JWTHeaderParameters, key: Parameters<SignJWT['sign']>[0]): Promise<string> =>
      await new SignJWT(claims).setProtectedHeader(header).sign(key)
    await jwtVerify(await forge({ alg: algorithm, kid }, key), keys, expected)

    const publicPem = createPublicKey(pem).export({ type: 'spki', format: 'pem' })
    const jwk = JSON.stringify(((await (await fetch(new URL(PATH, url))).json()) as { keys: object[] }).keys[0])
    const other = algorithms.find(name => name !== algorithm)!
    const refused: Record<string, string> = {
      'another key under this kid': await forge({ alg: algorithm, kid }, await importPKCS8(privateKey(algorithm), algorithm)),
      'an unknown kid': await forge({ alg: algorithm, kid: 'nobody' }, key),
      'another algorithm under this kid': await forge({ alg: other, kid }, await importPKCS8(privateKey(other), other)),
      'none, with our claims': new UnsecuredJWT(claims).encode(),
      'our signature under the name of another algorithm': relabel(opened.token, { alg: other, kid })
    }
    for (const [what, material] of Object.entries({ PEM: publicPem, JWK: jwk })) {
      for (const [alg, digest] of [['HS256', 'sha256'], ['HS512', 'sha512']] as const) {
        refused[`${alg} with the public ${what} for a secret`] = hmacToken({ alg, kid }, claims, digest, material)
      }
    }
    // A verifier without a fixed algorithm is safe too: each key names its own.
    for (const [what, token] of Object.entries(refused)) await t.rejects(jwtVerify(token, keys), { code: /^ERR_J/ }, what)
    const shown = JSON.stringify(service.log)
    for (const line of pem.split('\n').filter(line => line !== '' && !line.startsWith('---'))) t.notOk(shown.includes(line), 'no private key is in the log')
  })
}

t.test('tokens of a removed key no longer verify', async t => {
  const [old, renewed] = [privateKey('ES256'), privateKey('EdDSA')]
  const env = environment(redis.url)
  const replica = async (keys: string): Promise<Service & { keys: JWTVerifyGetKey }> => {
    const service = await build(t, redis, { ...env, ACCESS_TOKEN_PRIVATE_KEYS: keys })
    return { ...service, keys: remote(await service.public.listen({ host: '127.0.0.1', port: 0 })) }
  }
  const [before, both, after] = [await replica(old), await replica(`${renewed},${old}`), await replica(renewed)]
  const { token, refreshToken } = await before.open()
  await jwtVerify(token, both.keys, expected)
  await t.rejects(jwtVerify((await both.open({ deviceId: 'other' })).token, before.keys, expected), { code: 'ERR_JWKS_NO_MATCHING_KEY' },
    'tokens of a key that a replica does not serve yet are rejected: so docs/keys.md first adds a key in last place')
  await t.rejects(jwtVerify(token, after.keys, expected), { code: 'ERR_JWKS_NO_MATCHING_KEY' })
  const answer = await after.refresh(refreshToken)
  t.equal(answer.statusCode, 200, 'the session still refreshes')
  await jwtVerify(answer.json().token, after.keys, expected)
})

t.test('a wrong key ends the start with one sentence that does not show the key', async t => {
  const lost = privateKey('EdDSA').split('\n')[1]!
  const { errors, exited } = spawnService(t, environment(redis.url, { ACCESS_TOKEN_PRIVATE_KEYS: lost }))
  t.same(await exited, [1, null])
  t.match(errors, [/^ACCESS_TOKEN_PRIVATE_KEYS must be .+ Entry 1 is neither PEM nor a file that can be read \(ENOENT\)\.$/])
  t.equal(errors.length, 1)
  t.notOk(errors[0]!.includes(lost))
})

t.test('development mode with a private key needs no access token secret', async t => {
  const DATA_DIR = await tempFolder(t)
  const { REFRESH_TOKEN_SECRETS, INTERNAL_API_KEY } = environment('')
  await writeFile(join(DATA_DIR, 'secrets.env'), `REFRESH_TOKEN_SECRETS=${REFRESH_TOKEN_SECRETS}\nINTERNAL_API_KEY=${INTERNAL_API_KEY}\n`, { mode: 0o600 })
  const env = { DATA_DIR, REDIS_URL: redis.url, REDIS_PREFIX: 'jwks:', LOG_LEVEL: 'info' }
  const service = await startService(t, { ...env, ACCESS_TOKEN_PRIVATE_KEYS: privateKey('EdDSA') })
  const { token } = await postSession(service.internalUrl)
  await jwtVerify(token, remote(service.publicUrl), expected)
})

function encode (value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function hmacToken (header: object, claims: object, digest: string, key: string | Buffer): string {
  const input = `${encode(header)}.${encode(claims)}`
  return `${input}.${createHmac(digest, key).update(input).digest('base64url')}`
}

function relabel (token: string, header: object): string {
  return [encode(header), ...token.split('.').slice(1)].join('.')
}
