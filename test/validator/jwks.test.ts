import { createSign, generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose'
import t, { type Test } from 'tap'
import { twinOf, withLowerS } from '../support/es256.ts'
import type { SessionValidator } from '../../packages/validator/src/index.ts'
import { apiKey, build, claimsOf, privateKey, startRedis, type PrivateRedis, type Service } from '../support/helper.ts'
import { codeOf, handmade, lookups, until, validatorFor } from './helper.ts'

/** Access tokens with fetched public keys. jose makes the keys and signatures. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

interface KeySet {
  url: string
  keys: JWK[]
  /** Status of the responses. */
  status: number
  fetches: number
  close (): void
}

async function startKeySet (t: Test): Promise<KeySet> {
  const set: KeySet = { url: '', keys: [], status: 200, fetches: 0, close: () => { server.close().closeAllConnections() } }
  const server = createServer((_request, response) => {
    set.fetches++
    response.writeHead(set.status, { 'content-type': 'application/jwk-set+json' }).end(JSON.stringify({ keys: set.keys }))
  }).listen(0, '127.0.0.1')
  t.teardown(set.close)
  await once(server, 'listening')
  set.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/.well-known/jwks.json`
  return set
}

interface Signer { kid: string, publicKey: CryptoKey, sign (claims: object, header?: object): Promise<string> }

async function addKey (set: KeySet, alg: string, kid: string): Promise<Signer> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  set.keys.push({ ...await exportJWK(publicKey), kid, alg, use: 'sig' })
  return {
    kid,
    publicKey,
    sign: async (claims, header) => {
      const token = await new SignJWT({ ...claims }).setProtectedHeader({ alg, typ: 'JWT', kid, ...header }).sign(privateKey)
      return alg === 'ES256' ? withLowerS(token) : token
    }
  }
}

/** The claims of a live session of the service. */
async function liveClaims (service: Service): Promise<object> {
  const { iat, exp, id, sid } = claimsOf((await service.open()).token)
  return { sub: 'Authentication', iss: 'ktor.io', id, sid, iat, exp }
}

const withKeys = ({ url }: KeySet): { secrets: undefined, jwksUrl: string } => ({ secrets: undefined, jwksUrl: url })

t.test('EdDSA, ES256 and RS256 tokens are valid; tokens that are not ours are malformed', async t => {
  const service = await build(t, redis)
  const set = await startKeySet(t)
  const claims = await liveClaims(service)
  const signers = [await addKey(set, 'EdDSA', 'ed'), await addKey(set, 'ES256', 'ec'), await addKey(set, 'RS256', 'rsa')]
  const validator = await validatorFor(t, service, { ...withKeys(set), cache: false })
  for (const { sign, kid } of signers) t.match(await validator.validate(await sign(claims)), { id: 1 }, kid)
  t.equal(set.fetches, 1)

  const { token: secretly } = await service.open({ deviceId: 'laptop' })
  const before = await lookups(redis)
  const [ed, ec, rsa] = signers as [Signer, Signer, Signer]
  const pem = await exportSPKI(rsa.publicKey)
  const otherSet = await startKeySet(t)
  const stranger = await addKey(otherSet, 'EdDSA', 'ed')
  const ps256 = await addKey(set, 'PS256', 'ps')
  const token = await ed.sign(claims)
  const refused: Record<string, string> = {
    'a secret made of a public key': handmade(pem, claims, { kid: 'rsa' }),
    'that, as HS256': handmade(pem, claims, { kid: 'rsa', alg: 'HS256' }, 'sha256'),
    'that, under the name of the algorithm': handmade(pem, claims, { kid: 'rsa', alg: 'RS256' }, 'sha256'),
    'a token of the service that still signs with secrets': secretly,
    'an algorithm that is not ours': await ps256.sign(claims),
    'alg none': handmade(pem, claims, { kid: 'ed', alg: 'none' }),
    'a key under the name of another': await ed.sign(claims, { kid: 'ec' }),
    'a stranger\'s key under our name': await stranger.sign(claims),
    'a key that is brought along': await stranger.sign(claims, { jwk: otherSet.keys[0], jku: otherSet.url }),
    'no kid': await ed.sign(claims, { kid: undefined }),
    'another issuer': await ed.sign({ ...claims, iss: 'evil.example' }),
    'a refresh token': await ed.sign({ ...claims, sub: 'Refresh', gen: 1 }),
    'ES256 with the higher s': twinOf(await ec.sign(claims)),
    'another spelling of the signature': token.slice(0, -1) + String.fromCharCode(token.charCodeAt(token.length - 1) + 1)
  }
  for (const [what, forged] of Object.entries(refused)) t.equal(await codeOf(validator.validate(forged)), 'malformed', what)
  t.equal(await codeOf(validator.validate(await ec.sign({ ...claims, exp: 1 }))), 'expired')
  t.equal(await lookups(redis), before)
})

t.test('a new key is fetched at its first use; forgers cause at most one fetch a second', async t => {
  const service = await build(t, redis)
  const set = await startKeySet(t)
  const claims = await liveClaims(service)
  const old = await addKey(set, 'EdDSA', 'old')
  const validator = await validatorFor(t, service, { ...withKeys(set), cache: false })
  await validator.validate(await old.sign(claims))

  const renewed = await addKey(set, 'EdDSA', 'new')
  const token = await renewed.sign(claims)
  await until(async () => await codeOf(validator.validate(token)) === undefined)
  t.equal(set.fetches, 2)
  t.match(await validator.validate(await old.sign(claims)), { id: 1 }, 'the old one is still good')
  for (let i = 0; i < 20; i++) t.equal(await codeOf(validator.validate(await old.sign(claims, { kid: `x${i}` }))), 'malformed')
  t.ok(set.fetches <= 3)

  set.keys.shift()
  const other = await validatorFor(t, service, { ...withKeys(set), jwksUrl: new URL(set.url), cache: false })
  t.equal(await codeOf(other.validate(await old.sign(claims))), 'malformed', 'a removed key')
})

t.test('a key set that can\'t be fetched or used is unavailable, not revoked', async t => {
  const service = await build(t, redis)
  const set = await startKeySet(t)
  const claims = await liveClaims(service)
  const key = await addKey(set, 'EdDSA', 'ed')
  const token = await key.sign(claims)
  const validator = await validatorFor(t, service, { ...withKeys(set), cache: false })
  const unavailable = { name: 'SessionValidationError', code: 'unavailable', message: /^the keys could not be fetched: / }

  // Whole milliseconds: sums of fractions may be a little less than a second apart.
  const start = Math.ceil(performance.now())
  let passed = 0
  t.intercept(performance, 'now', { value: () => start + passed })

  set.status = 500
  await t.rejects(validator.validate(token), unavailable)
  set.status = 200
  const keys = set.keys.splice(0)
  set.keys.push(null as unknown as JWK)
  passed += 1000
  await t.rejects(validator.validate(token), unavailable)
  set.keys = [...keys, { ...keys[0]!, x: 'AAAA', kid: 'broken' }]
  passed += 1000
  t.match(await validator.validate(token), { id: 1 }, 'it heals by itself')
  set.close()
  t.match(await validator.validate(token), { id: 1 }, 'and what was fetched is kept')
  t.equal(await codeOf(validator.validate(await key.sign(claims, { kid: 'broken' }))), 'unavailable')
  await t.rejects((await validatorFor(t, service, { ...withKeys(set), cache: false })).validate(token), unavailable)
})

t.test('a key that jose refuses is unavailable, not malformed', async t => {
  const service = await build(t, redis)
  const set = await startKeySet(t)
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
  set.keys.push({ ...publicKey.export({ format: 'jwk' }) as JWK, kid: 'weak', alg: 'RS256', use: 'sig' })
  const validator = await validatorFor(t, service, { ...withKeys(set), cache: false })
  const input = handmade('x', await liveClaims(service), { alg: 'RS256', kid: 'weak' }).split('.').slice(0, 2).join('.')
  const token = `${input}.${createSign('sha256').update(input).sign(privateKey, 'base64url')}`
  await t.rejects(validator.validate(token), { code: 'unavailable', message: /^the key can't be used: / })
})

t.test('while the address is unreachable, it is asked once a second, and known keys serve for an hour', async t => {
  const service = await build(t, redis)
  const set = await startKeySet(t)
  const signer = await addKey(set, 'EdDSA', 'ed')
  const stranger = await addKey(await startKeySet(t), 'EdDSA', 'nobody')
  const claims = await liveClaims(service)
  const start = Math.ceil(performance.now())
  let passed = 0
  t.intercept(performance, 'now', { value: () => start + passed })
  const validator = await validatorFor(t, service, { ...withKeys(set), cache: false })
  t.match(await validator.validate(await signer.sign(claims)), { id: 1 })
  t.equal(set.fetches, 1)

  passed = 11 * 60_000
  set.status = 500
  for (let i = 0; i < 20; i++) {
    t.match(await validator.validate(await signer.sign(claims)), { id: 1 })
    t.equal(await codeOf(validator.validate(await stranger.sign(claims))), 'unavailable')
  }
  t.equal(set.fetches, 2, 'one attempt in each pause')
  passed += 1000
  t.match(await validator.validate(await signer.sign(claims)), { id: 1 })
  t.equal(set.fetches, 3)
  passed = 3_600_000
  t.equal(await codeOf(validator.validate(await signer.sign(claims))), 'unavailable')
  set.status = 200
  passed += 1000
  t.match(await validator.validate(await signer.sign(claims)), { id: 1 }, 'and it heals')
})

t.test('a clock that was an hour ahead or behind, and is corrected, delays no fetch', async t => {
  const service = await build(t, redis)
  const set = await startKeySet(t)
  const claims = await liveClaims(service)
  const old = await addKey(set, 'EdDSA', 'old')
  const token = await old.sign(claims)
  const start = { wall: Date.now(), running: Math.ceil(performance.now()) }
  let [error, passed] = [0, 0]
  t.intercept(Date, 'now', { value: () => start.wall + error + passed })
  t.intercept(performance, 'now', { value: () => start.running + passed })
  // fetch counts its own time-outs by the clock that jumps, so that it may fail; the next try is a second later.
  const within3s = async (validator: SessionValidator, token: string, code?: string): Promise<boolean> => {
    for (let tries = 0; tries < 3; tries++) {
      if (await codeOf(validator.validate(token)) === code) return true
      passed += 1000
    }
    return false
  }
  for (const wrong of [3_600_000, -3_600_000]) {
    const validator = await validatorFor(t, service, { ...withKeys(set), cache: false })
    error = wrong
    set.status = 500
    t.equal(await codeOf(validator.validate(token)), 'unavailable')
    error = 0
    set.status = 200
    const fetches = set.fetches
    t.equal(await codeOf(validator.validate(token)), 'unavailable', 'still in the pause after the failure')
    t.equal(set.fetches, fetches)
    passed += 1000
    t.ok(await within3s(validator, token), `${wrong}: a failed fetch is repeated after a second`)

    const other = await validatorFor(t, service, { ...withKeys(set), cache: false })
    error = wrong
    t.equal(await codeOf(other.validate(token)), undefined)
    error = 0
    const renewed = await addKey(set, 'EdDSA', `new${wrong}`)
    passed += 1000
    t.ok(await within3s(other, await renewed.sign(claims)), `${wrong}: a new key is fetched after a second`)
    const [first] = set.keys.splice(0, 1)
    passed += 600_000
    t.ok(await within3s(other, token, 'malformed'), `${wrong}: a removed key is forgotten after ten minutes`)
    set.keys = [first!]
  }
})

t.test('tokens of the service are valid by the keys that it serves', async t => {
  for (const algorithm of ['EdDSA', 'ES256', 'RS256'] as const) {
    const service = await build(t, redis, { ACCESS_TOKEN_PRIVATE_KEYS: privateKey(algorithm) })
    const base = await service.public.listen({ port: 0 })
    const validator = await validatorFor(t, service, { secrets: undefined, jwksUrl: `${base}/.well-known/jwks.json`, cache: false })
    const { token, refreshToken } = await service.open()
    const { sid } = claimsOf(token)
    t.match(await validator.validate(token), { id: 1, sid }, algorithm)
    t.match(await validator.validate((await service.refresh(refreshToken)).json().token), { id: 1, sid })
    t.equal(await codeOf(validator.validate(refreshToken)), 'malformed')
    await service.call('DELETE', `/internal/users/1/sessions/${sid}`)
    t.equal(await codeOf(validator.validate(token)), 'revoked')
  }
})

t.test('the second signature of an ES256 token is refused everywhere', async t => {
  const service = await build(t, redis, { ACCESS_TOKEN_PRIVATE_KEYS: privateKey('ES256') })
  const base = await service.public.listen({ port: 0 })
  const validator = await validatorFor(t, service, { secrets: undefined, jwksUrl: `${base}/.well-known/jwks.json`, cache: false })
  const { token } = await service.open()
  const answers = async (text: string): Promise<unknown[]> => [
    (await service.internal.inject({
      method: 'POST',
      url: '/internal/introspect',
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/x-www-form-urlencoded' },
      payload: `token=${text}`
    })).json().active,
    (await service.internal.inject({ url: '/internal/verify', headers: { 'x-internal-api-key': apiKey, authorization: `Bearer ${text}` } })).statusCode,
    await codeOf(validator.validate(text))
  ]
  t.same(await answers(token), [true, 204, undefined])
  t.same(await answers(twinOf(token)), [false, 401, 'malformed'])
})
