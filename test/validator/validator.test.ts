import { readFile } from 'node:fs/promises'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { Cluster, Redis } from 'ioredis'
import t from 'tap'
import { createSessionValidator, SessionValidationError, type SessionValidatorOptions } from '../../packages/validator/src/index.ts'
import { character } from '../support/character.ts'
import { build, claimsOf, guest, secret, startRedis, type PrivateRedis } from '../support/helper.ts'
import { startTlsRedis } from '../support/tls-server.ts'
import { codeOf, handmade, lookups, optionsFor, validatorFor } from './helper.ts'

/** The answer and the four error codes, with a real Redis and tokens of the real service. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

t.test('a live session has the ids of the token and the profile of the record', async t => {
  const service = await build(t, redis)
  const validator = await validatorFor(t, service)
  const { token } = await service.open()
  const { id, sid, exp } = claimsOf(token)
  const session = await validator.validate(token)
  t.strictSame(session, { id, sid, email: guest.email, role: guest.role, claims: {}, expiresAt: exp })
  t.ok(Object.isFrozen(session), 'it is shared with other calls')
  t.strictSame(await validator.validate(token), session)
})

t.test('expiresAt is the end of the session if it is before the token\'s', async t => {
  const service = await build(t, redis, { REFRESH_IDLE_TTL: '100' })
  const validator = await validatorFor(t, service)
  const { token, refreshToken } = await service.open()
  t.equal((await validator.validate(token)).expiresAt, claimsOf(refreshToken).exp)
})

t.test('a session that has ended, or expired within a live record, is revoked', async t => {
  const service = await build(t, redis)
  const validator = await validatorFor(t, service, { cache: false })
  const { token } = await service.open()
  const { sid, iat } = claimsOf(token)
  await redis.client.hset(`${service.config.REDIS_PREFIX}1`, `s:${sid}`, `1:${iat - 9}:${iat - 9}:${iat}:AAAAAAAAAAAAAAAA`)
  t.equal(await codeOf(validator.validate(token)), 'revoked')
  await service.call('DELETE', `/internal/users/1/sessions/${sid}`)
  t.equal(await codeOf(validator.validate(token)), 'revoked')

  const { token: second } = await service.open()
  await service.call('PATCH', '/internal/users/1', { role: 'ADMIN' })
  await service.call('DELETE', `/internal/users/1/sessions/${claimsOf(second).sid}`)
  t.equal(await redis.client.hget(`${service.config.REDIS_PREFIX}1`, 'role'), 'ADMIN', 'what the record remembers without a session')
  t.equal(await codeOf(validator.validate(second)), 'revoked')
})

t.test('an unknown e-mail address or role is an empty text', async t => {
  const service = await build(t, redis)
  const validator = await validatorFor(t, service)
  const { token } = await service.open({ email: undefined, role: undefined })
  t.match(await validator.validate(token), { email: /^$/, role: /^$/ })
})

t.test('a damaged record is unavailable, not revoked', async t => {
  const service = await build(t, redis)
  const validator = await validatorFor(t, service, { cache: false })
  const { token } = await service.open()
  const key = `${service.config.REDIS_PREFIX}1`
  for (const field of ['email', 'role']) {
    const value = await redis.client.hget(key, field)
    await redis.client.hdel(key, field)
    await t.rejects(validator.validate(token), { code: 'unavailable', message: /the record of user 1 is damaged/ })
    await redis.client.hset(key, field, value!)
  }
  await redis.client.hset(key, `s:${claimsOf(token).sid}`, 'x')
  await t.rejects(validator.validate(token), { code: 'unavailable', message: /damaged/ })
  await redis.client.set(key, 'no hash')
  await t.rejects(validator.validate(token), { code: 'unavailable', message: /WRONGTYPE/ })
})

t.test('every listed secret verifies; a removed secret does not', async t => {
  const service = await build(t, redis)
  const { token } = await service.open()
  const old = service.config.ACCESS_TOKEN_SECRETS
  for (const secrets of [`${secret()}, ${old}`, [secret(), old]]) {
    t.match(await (await validatorFor(t, service, { secrets })).validate(token), { id: 1 })
  }
  t.equal(await codeOf((await validatorFor(t, service, { secrets: secret() })).validate(token)), 'malformed')
})

t.test('anything but an access token of the service is malformed, and Redis is not asked', async t => {
  const [key, other] = [secret(), secret()]
  const service = await build(t, redis, { ACCESS_TOKEN_SECRETS: key })
  const validator = await validatorFor(t, service)
  const { token, refreshToken } = await service.open()
  const { sid, exp } = claimsOf(token)
  const claims = { sub: 'Authentication', iss: 'ktor.io', id: 1, sid, iat: exp - 900, exp }
  const [header, payload, signature] = token.split('.') as [string, string, string]
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const sameBits = signature.slice(0, -1) + alphabet[alphabet.indexOf(signature.at(-1)!) + 1]
  t.match(await validator.validate(handmade(key, claims)), { sid }, 'a token by hand is taken')
  const before = await lookups(redis)

  const refused: Record<string, unknown> = {
    'a refresh token': refreshToken,
    'a refresh token signed with the access secret': handmade(key, { ...claims, sub: 'Refresh', gen: 1 }),
    'another secret under our kid': handmade(other, claims, { kid: JSON.parse(Buffer.from(header, 'base64url').toString()).kid }),
    'an unknown kid': handmade(key, claims, { kid: 'nobody' }),
    'no kid': handmade(key, claims, { kid: undefined }),
    'a kid that is an object': handmade(key, claims, { kid: { a: 1 } }),
    'a kid of the prototype': handmade(key, claims, { kid: 'constructor' }),
    'alg none': handmade(key, claims, { alg: 'none' }),
    'alg none without a signature': `${handmade(key, claims, { alg: 'none' }).split('.').slice(0, 2).join('.')}.`,
    'alg HS256': handmade(key, claims, { alg: 'HS256' }, 'sha256'),
    'alg EdDSA': handmade(key, claims, { alg: 'EdDSA' }),
    'no alg': handmade(key, claims, { alg: undefined }),
    'a critical header': handmade(key, claims, { crit: ['x'], x: 1 }),
    'an unencoded payload': handmade(key, claims, { crit: ['b64'], b64: false }),
    'another issuer': handmade(key, { ...claims, iss: 'evil.example' }),
    'no issuer': handmade(key, { ...claims, iss: undefined }),
    'no subject': handmade(key, { ...claims, sub: undefined }),
    'no exp': handmade(key, { ...claims, exp: undefined }),
    'an exp of a text': handmade(key, { ...claims, exp: String(exp) }),
    'an exp of a half': handmade(key, { ...claims, exp: exp + 0.5 }),
    'no id': handmade(key, { ...claims, id: undefined }),
    'an id in a text': handmade(key, { ...claims, id: '1' }),
    'an id with a colon': handmade(key, { ...claims, id: 'a:1' }),
    'an id of zero': handmade(key, { ...claims, id: 0 }),
    'an unsafe id': handmade(key, { ...claims, id: 2 ** 53 }),
    'no sid': handmade(key, { ...claims, sid: undefined }),
    'a short sid': handmade(key, { ...claims, sid: 'A' }),
    'a sid that is a list': handmade(key, { ...claims, sid: [sid] }),
    'not yet valid': handmade(key, { ...claims, nbf: exp }),
    'claims that are an array': handmade(key, [claims]),
    'claims that are null': handmade(key, null as unknown as object),
    'a header that is null': `${Buffer.from('null').toString('base64url')}.${payload}.${signature}`,
    'a header that is no JSON': `${Buffer.from('{').toString('base64url')}.${payload}.${signature}`,
    'another spelling of the signature': `${header}.${payload}.${sameBits}`,
    padding: `${token}==`,
    'no signature': `${header}.${payload}.`,
    'a signature cut short': token.slice(0, -4),
    'two parts': `${header}.${payload}`,
    'four parts': `${token}.${signature}`,
    'a line break at the end': `${token}\n`,
    'a blank at the start': ` ${token}`,
    'longer than any of ours': handmade(key, { ...claims, more: 'x'.repeat(8192) }),
    nothing: '',
    undefined,
    'a number': 1,
    'a String': Object(token)
  }
  for (const [what, forged] of Object.entries(refused)) {
    const err = await validator.validate(forged as string).then(() => undefined, err => err)
    t.ok(err instanceof SessionValidationError, what)
    t.match(err, { name: 'SessionValidationError', code: 'malformed', cause: undefined }, what)
  }
  t.equal(await lookups(redis), before)

  const characters = fc.string({ maxLength: 3, unit: character })
  await fc.assert(fc.asyncProperty(fc.nat(token.length - 1), characters, fc.nat(3), async (at, insert, drop) => {
    const edited = token.slice(0, at) + insert + token.slice(at + drop)
    return edited === token || await codeOf(validator.validate(edited)) === 'malformed'
  }), { numRuns: 500 })
})

t.test('an expired token is expired, even while its session is live', async t => {
  const service = await build(t, redis)
  const validator = await validatorFor(t, service)
  const { iat, exp, ...claims } = claimsOf((await service.open()).token)
  await t.rejects(validator.validate(handmade(service.config.ACCESS_TOKEN_SECRETS, { ...claims, iat: 1, exp: 2 })), { code: 'expired', cause: undefined })
  t.match(await validator.validate(handmade(service.config.ACCESS_TOKEN_SECRETS, { ...claims, iat, exp })), { id: 1 })
})

t.test('no message and no property of an error holds a token', async t => {
  const service = await build(t, redis)
  const validator = await validatorFor(t, service, { cache: false })
  const { token } = await service.open()
  await service.call('DELETE', '/internal/users/1/sessions')
  const { iat, exp, ...claims } = claimsOf(token)
  const expired = handmade(service.config.ACCESS_TOKEN_SECRETS, { ...claims, iat: 1, exp: 2 })
  for (const text of [token, expired, `${token}x`, token.slice(0, -4), `x${token}`, handmade(secret(), { ...claims, iat, exp })]) {
    const err = await validator.validate(text).then(() => undefined, err => err)
    const shown = inspect(err, { depth: 9, showHidden: true, maxStringLength: null })
    t.notOk(shown.includes('eyJ') || text.split('.').some(part => shown.includes(part)), err.code)
    t.notOk(shown.includes(claims.sid), 'nor the session')
  }
})

t.test('a Redis user who can only read records and subscribe to events is enough', async t => {
  const service = await build(t, redis)
  const prefix = service.config.REDIS_PREFIX
  await redis.client.acl('SETUSER', 'reader', 'on', '>sesame', 'resetchannels', `~${prefix}*`, `&${prefix}events`, '+hmget', '+subscribe')
  const reader = redis.client.duplicate({ username: 'reader', password: 'sesame', enableReadyCheck: false })
  t.teardown(() => { reader.disconnect() })
  const validator = await validatorFor(t, service, { redisUrl: undefined, redis: reader })
  t.match(await validator.validate((await service.open()).token), { id: 1 })
})

t.test('the validator connects over TLS, with a client certificate', async t => {
  const { redis, port, ca, client } = await startTlsRedis(t)
  const service = await build(t, redis)
  const { token } = await service.open()
  const tls = { ca: await readFile(ca), cert: await readFile(client.cert, 'utf8'), key: await readFile(client.key) }
  const redisUrl = `rediss://localhost:${port}`
  t.match(await (await validatorFor(t, service, { redisUrl, tls })).validate(token), { id: 1 })
  const strange = createSessionValidator(optionsFor(service, { redisUrl }))
  t.teardown(async () => await strange.close())
  await t.rejects(strange.ready(), { code: 'unavailable', message: /certificate/ })
})

t.test('an error about an option has its name, not its value', t => {
  const right = { redisUrl: 'redis://localhost', secrets: secret() }
  const wrong = (name: string, options: object): void => {
    const message = new RegExp(`^${name} (must|is not)`)
    t.throws(() => createSessionValidator({ ...right, ...options } as SessionValidatorOptions), { name: 'TypeError', message }, name)
  }
  const nodes = [{ host: 'localhost' }]
  const clients = [
    new Redis({ lazyConnect: true, keyPrefix: 'x:' }),
    new Redis({ lazyConnect: true, sentinels: nodes, name: 'refresh', role: 'slave' }),
    new Cluster(nodes, { lazyConnect: true, redisOptions: { keyPrefix: 'x:' } }),
    new Cluster(nodes, { lazyConnect: true, scaleReads: 'slave' })
  ]
  wrong('redisUrl', { redisUrl: undefined })
  wrong('redisUrl', { redis: new Redis({ lazyConnect: true }) })
  for (const redisUrl of ['http://localhost', 'x', 1, null]) wrong('redisUrl', { redisUrl })
  for (const redis of [{}, null, 1, { hmget () {} }, ...clients]) wrong('redis', { redisUrl: undefined, redis })
  for (const tls of [null, 1, { ca: 'x' }, { cert: 'x' }, { key: 'x' }, { pfx: 'x' }]) wrong('tls', { redisUrl: 'rediss://localhost', tls })
  wrong('tls', { tls: {} })
  wrong('tls', { redisUrl: undefined, redis: new Redis({ lazyConnect: true }), tls: {} })
  for (const name of ['sentinelUsername', 'sentinelPassword']) {
    for (const value of ['', 1, null]) wrong(name, { redisUrl: 'redis+sentinel://localhost/refresh', [name]: value })
    wrong(name, { redisUrl: undefined, redis: new Redis({ lazyConnect: true }), [name]: 'x' })
  }
  for (const prefix of ['', 1, null]) wrong('prefix', { prefix })
  for (const issuer of ['', 1, null]) wrong('issuer', { issuer })
  for (const audience of ['', 1, null, [], ['a', ''], [['a']]]) wrong('audience', { audience })
  wrong('secrets', { secrets: undefined })
  wrong('secrets', { jwksUrl: 'https://example.com/jwks.json' })
  const twice = secret()
  for (const secrets of ['', 'x', `${secret()},x`, [], [secret(), ''], `${twice},${twice}`, null, 1, {}]) wrong('secrets', { secrets })
  for (const jwksUrl of ['', 'x', 'ftp://example.com/', 'https://user:word@example.com/', 'https://:word@example.com/', null, 1]) {
    wrong('jwksUrl', { secrets: undefined, jwksUrl })
  }
  for (const cache of [true, null, 1]) wrong('cache', { cache })
  for (const max of [0, -1, 1.5, NaN, Infinity, '1']) wrong('cache.max', { cache: { max } })
  for (const maxStaleness of [0, -1, 1.5, NaN, Infinity, '1']) wrong('cache.maxStaleness', { cache: { maxStaleness } })
  wrong('redisURL', { redisURL: 'redis://localhost' })
  wrong('cache.ttl', { cache: { ttl: 1 } })
  for (const options of [undefined, null, 'x']) {
    t.throws(() => createSessionValidator(options as unknown as SessionValidatorOptions), /takes an object of options/)
  }
  try {
    createSessionValidator({ ...right, secrets: 'sesame' })
  } catch (err) {
    t.notMatch((err as Error).message, 'sesame')
  }
  t.end()
})
