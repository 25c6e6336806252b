import { createSecretKey } from 'node:crypto'
import { createLocalJWKSet, jwtVerify, type JWTVerifyOptions } from 'jose'
import t from 'tap'
import { parseKeys } from '#src/tokens/keys'
import { apiKey, build, claimsOf, guest, privateKey, secret, startRedis, type PrivateRedis } from '../support/helper.ts'
import { codeOf, handmade, validatorFor } from '../validator/helper.ts'

/** Access tokens of RFC 9068, verified as a standard verifier does; and both formats side by side, as after a change of the setting. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

const issuer = 'https://login.example'
const format = { ACCESS_TOKEN_FORMAT: 'rfc9068', ACCESS_TOKEN_AUDIENCE: 'https://api.example', JWT_ISSUER: issuer }

/** The rules of RFC 9068 section 4, with the claims that section 2.2 requires. */
const rules: JWTVerifyOptions = {
  typ: 'at+jwt', issuer, audience: 'https://api.example', requiredClaims: ['iss', 'exp', 'aud', 'sub', 'client_id', 'iat', 'jti']
}

const headerOf = (token: string): object => JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString())

for (const algorithm of ['EdDSA', 'ES256', 'RS256'] as const) {
  t.test(`jose verifies ${algorithm} with the published keys`, async t => {
    const service = await build(t, redis, { ...format, ACCESS_TOKEN_PRIVATE_KEYS: privateKey(algorithm) })
    const jwks = createLocalJWKSet((await service.public.inject('/.well-known/jwks.json')).json())
    const { token } = await service.open({ userId: 'user_01', sessionClaims: { scope: 'read write', auth_time: 1 } })
    const { payload, protectedHeader } = await jwtVerify(token, jwks, { ...rules, algorithms: [algorithm] })
    t.match(protectedHeader, { alg: algorithm, typ: 'at+jwt' })
    const { sid, iat } = claimsOf(token)
    t.match(payload, {
      iss: issuer, sub: 'user_01', aud: 'https://api.example', client_id: issuer, jti: `${sid}.1.${iat}`, id: 'user_01', scope: 'read write', exp: iat + 900
    })
    await t.rejects(jwtVerify(token, jwks, { ...rules, audience: 'https://other.example' }), { code: 'ERR_JWT_CLAIM_VALIDATION_FAILED' })
  })
}

t.test('jose verifies HS512; each refresh has a new jti, and the refresh token is as documented', async t => {
  const service = await build(t, redis, { ...format, ACCESS_TOKEN_AUDIENCE: 'https://a.example , https://api.example' })
  const key = createSecretKey(Buffer.from(service.config.ACCESS_TOKEN_SECRETS))
  const { token, refreshToken } = await service.open()
  const { payload } = await jwtVerify(token, key, { ...rules, algorithms: ['HS512'] })
  t.match(payload, { sub: '1', id: 1, aud: ['https://a.example', 'https://api.example'] })
  t.same(headerOf(token), { alg: 'HS512', typ: 'at+jwt', kid: parseKeys(service.config.ACCESS_TOKEN_SECRETS)[0].kid })
  const next = (await service.refresh(refreshToken)).json()
  const { sid, iat } = claimsOf(next.token)
  t.match(claimsOf(next.token), { jti: `${sid}.2.${iat}` })
  t.match(headerOf(refreshToken), { typ: 'JWT' })
  t.match(claimsOf(refreshToken), { sub: 'Refresh', gen: 1, aud: undefined })
})

t.test('the service and the validator accept both formats, and no mixture', async t => {
  const [ACCESS_TOKEN_SECRETS, REFRESH_TOKEN_SECRETS, REDIS_PREFIX] = [secret(), secret(), 'both:']
  const shared = { ACCESS_TOKEN_SECRETS, REFRESH_TOKEN_SECRETS, REDIS_PREFIX, JWT_ISSUER: issuer }
  const before = await build(t, redis, shared)
  const after = await build(t, redis, { ...shared, ...format })
  const tokens = [(await before.open()).token, (await after.open({ deviceId: 'laptop' })).token]
  t.same(tokens.map(headerOf).map(header => (header as { typ: string }).typ), ['JWT', 'at+jwt'])
  const validators = [await validatorFor(t, after), await validatorFor(t, after, { audience: 'https://api.example' })]
  const verify = async (service: typeof after, token: string): Promise<number> => (await service.internal.inject({
    url: '/internal/verify', headers: { 'x-internal-api-key': apiKey, authorization: `Bearer ${token}` }
  })).statusCode
  for (const token of tokens) {
    for (const service of [before, after]) t.equal(await verify(service, token), 204)
    for (const validator of validators) t.match(await validator.validate(token), { id: 1, email: guest.email })
  }

  const [documented, standard] = tokens.map(claimsOf) as [object, object]
  const typ = 'at+jwt'
  const good = [handmade(ACCESS_TOKEN_SECRETS, documented), handmade(ACCESS_TOKEN_SECRETS, standard, { typ })]
  const mixed = [
    handmade(ACCESS_TOKEN_SECRETS, documented, { typ }), handmade(ACCESS_TOKEN_SECRETS, standard), handmade(ACCESS_TOKEN_SECRETS, standard, { typ: 'AT+JWT' }),
    handmade(ACCESS_TOKEN_SECRETS, standard, { typ: undefined }), handmade(ACCESS_TOKEN_SECRETS, { ...standard, sub: '2' }, { typ }),
    handmade(ACCESS_TOKEN_SECRETS, { ...standard, sub: 1 }, { typ })
  ]
  for (const token of good) t.equal(await verify(after, token), 204)
  for (const token of mixed) {
    t.equal(await verify(after, token), 401)
    for (const validator of validators) t.equal(await codeOf(validator.validate(token)), 'malformed')
  }
})

t.test('the audience of a validator', async t => {
  const service = await build(t, redis, { ...format, ACCESS_TOKEN_AUDIENCE: 'a,b' })
  const { token } = await service.open()
  const asks = async (audience: string | string[], token: string): Promise<string | undefined> =>
    await codeOf((await validatorFor(t, service, { audience })).validate(token))
  for (const audience of ['a', ['x', 'b']]) t.equal(await asks(audience, token), undefined)
  for (const audience of ['x', ['x', 'y'], 'a,b']) t.equal(await asks(audience, token), 'malformed')
  const { aud, ...claims } = claimsOf(token) as unknown as Record<string, unknown>
  t.equal(await asks('a', handmade(service.config.ACCESS_TOKEN_SECRETS, claims, { typ: 'at+jwt' })), 'malformed', 'RFC 9068 requires aud')

  const documented = await build(t, redis, { ACCESS_TOKEN_AUDIENCE: 'a', REDIS_PREFIX: service.config.REDIS_PREFIX, JWT_ISSUER: issuer, ACCESS_TOKEN_SECRETS: service.config.ACCESS_TOKEN_SECRETS })
  const opened = await documented.open()
  t.match(claimsOf(opened.token), { sub: 'Authentication', aud: 'a' })
  t.equal(await asks('a', opened.token), undefined)
  t.equal(await asks('x', opened.token), 'malformed')
})
