import Fastify from 'fastify'
import { Cluster, Redis } from 'ioredis'
import t from 'tap'
import { parseRedisUrl } from '#src/settings/redis-url'
import refreshTokens, { type RefreshTokensOptions } from '#src/plugin/index'
import { secret, startRedis, privateKey, type PrivateRedis } from '../support/helper.ts'
import { appWith, clientOf, guest, optionsWith } from './helper.ts'

/** Wrong options end the start with their names, and never with a secret. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

const idle = { lazyConnect: true } as const

async function mistake (options: unknown): Promise<Error> {
  const app = Fastify()
  return await Promise.resolve(app.register(refreshTokens, options as RefreshTokensOptions)).then(() => new Error('none'), err => err)
}

t.test('the error names every wrong option and its permitted values', async t => {
  const given = new Redis(idle)
  const wrong: Array<[Record<string, unknown>, RegExp]> = [
    [{ refreshTokenSecrets: 'short' }, /^refreshTokenSecrets must be secrets of at least 64 bytes/],
    [{ refreshTokenSecrets: undefined }, /^refreshTokenSecrets must be secrets/],
    [{ refreshTokenSecrets: 64 }, /^refreshTokenSecrets must be/],
    [{ refreshTokenSecrets: [`${secret()},${secret()}`, secret()] }, /^refreshTokenSecrets must be/],
    [{ refreshTokenSecrets: 'a'.repeat(64) }, /^refreshTokenSecrets must look random/],
    [{ accessTokenSecrets: undefined }, /^accessTokenSecrets must be/],
    [{ accessTokenPrivateKeys: 'x' }, /^accessTokenPrivateKeys must be PEM/],
    [{ accessTokenTtl: '900' }, /^accessTokenTtl must be whole seconds from 1 to 31536000\.$/],
    [{ accessTokenTtl: 1.5 }, /^accessTokenTtl must be whole seconds/],
    [{ refreshIdleTtl: -1 }, /^refreshIdleTtl must be/],
    [{ redisPrefix: 'rt' }, /^redisPrefix must be/],
    [{ redisPrefix: '' }, /^redisPrefix must be/],
    [{ accessTokenFormat: 'jwt' }, /^accessTokenFormat must be documented or rfc9068/],
    [{ accessTokenFormat: 'rfc9068' }, /^accessTokenAudience is required when accessTokenFormat is rfc9068/],
    [{ cookieSessions: true }, /^cookieSessions must be off or on/],
    [{ cookieSameSite: 'none' }, /^cookieSameSite must be strict or lax/],
    [{ corsOrigins: ['*'] }, /^corsOrigins must be origins/],
    [{ redisCaFile: '/nowhere' }, /^redisCaFile needs a redis over TLS/],
    [{ routes: { prefix: 'api' } }, /^routes must be false, or/],
    [{ routes: { path: '/api' } }, /^routes must be/],
    [{ routes: true }, /^routes must be/],
    [{ routes: null }, /^routes must be/],
    [{ decoratorName: 'my sessions' }, /^decoratorName must be/],
    [{ claims: {} }, /^claims must be a function/],
    [{ onEvent: 'x' }, /^onEvent must be a function/],
    [{ accesTokenTtl: 1 }, /^accesTokenTtl is no option/],
    [{ port: 1 }, /^port is no option/],
    [{ redis: undefined }, /^redis must be an ioredis client, or/],
    [{ redis: {} }, /^redis must be an ioredis client, or/],
    [{ redis: 'http://localhost' }, /^redis must be redis:\/\//],
    [{ redis: new Redis({ ...idle, keyPrefix: 'app:' }) }, /^redis must ask masters and have no keyPrefix/],
    [{ redis: new Redis({ ...idle, readOnly: true }) }, /^redis must ask masters/],
    [{ redis: new Redis({ ...idle, sentinels: [{ host: 'localhost' }], name: 'x', role: 'slave' }) }, /^redis must ask masters/],
    [{ redis: new Cluster([], { ...idle, scaleReads: 'slave' }) }, /^redis must ask masters/],
    [{ redis: new Cluster([], { ...idle, redisOptions: { keyPrefix: 'x:' } }) }, /^redis must ask masters/]
  ]
  for (const [option, message] of wrong) {
    t.match(await mistake({ ...optionsWith(given), ...option }), { name: 'TypeError', message }, JSON.stringify(Object.keys(option)))
  }
})

t.test('one error names every wrong option, and quotes no secret', async t => {
  const shared = secret()
  const short = 'correct horse battery staple'
  const { message } = await mistake({
    ...optionsWith(new Redis(idle)), refreshTokenSecrets: shared, accessTokenSecrets: [shared, short], jwtIssuer: 1, maxSessionsPerUser: 0
  })
  for (const name of ['accessTokenSecrets', 'jwtIssuer', 'maxSessionsPerUser']) t.match(message, `${name} must`)
  for (const text of [shared, short]) t.notOk(message.includes(text))
  const same = await mistake(optionsWith(new Redis(idle), { refreshTokenSecrets: shared, accessTokenSecrets: shared }))
  t.match(same.message, /^refreshTokenSecrets must share no secret with accessTokenSecrets/)
})

t.test('lists and keys work as in the environment', async t => {
  const [pem, older] = [privateKey('ES256'), secret()]
  const prefix = optionsWith('').redisPrefix!
  const old = await appWith(t, optionsWith(clientOf(t, redis), { redisPrefix: prefix, refreshTokenSecrets: older }))
  const { refreshToken } = await old.sessions.open(guest)
  const app = await appWith(t, optionsWith(clientOf(t, redis), {
    redisPrefix: prefix, refreshTokenSecrets: [secret(), older], accessTokenPrivateKeys: pem, accessTokenSecrets: undefined, accessTokenClaims: ['email', 'role']
  }))
  const { token } = await app.sessions.refresh({ deviceId: guest.deviceId, refreshToken })
  t.match(JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString()), { alg: 'ES256' })
  t.match((await app.sessions.verify(token)).payload, { email: guest.email, role: guest.role })
})

t.test('a Redis that can\'t be used is named as the option, without its password', async t => {
  const { message } = await mistake(optionsWith('redis://user:hunter2@127.0.0.1:1'))
  t.match(message, /^Redis at redis:\/\/127.0.0.1:1\/0 \(redis\) can't be used/)
  t.notOk(message.includes('hunter2'))
  const closed = new Redis(idle)
  closed.disconnect()
  t.match(await mistake(optionsWith(closed)), { message: /^redis must/ })
})

t.test('a given client on a Redis that throws sessions away is warned of, and one whose user lacks a permission is refused', async t => {
  const own = await startRedis(t)
  const { options: { path } } = parseRedisUrl(own.url)! as { options: { path: string } }
  await own.configure('maxmemory-policy', 'allkeys-lru')
  const lines: string[] = []
  await appWith(t, optionsWith(clientOf(t, own)), { logger: { stream: { write: line => { lines.push(line) } } } })
  t.match(lines.map(line => JSON.parse(line)), [{ level: 40, msg: /^maxmemory-policy of .* is allkeys-lru/ }])
  t.equal(lines.length, 1)

  await own.client.call('ACL', 'SETUSER', 'limited', 'on', 'nopass', '~*', '&*', '+@all', '-publish')
  const client = new Redis({ path, username: 'limited', password: 'any' })
  t.teardown(() => { client.disconnect() })
  t.match(await mistake(optionsWith(client)), { message: /^The user of redis may not run PUBLISH/ })
})

t.test('a given client that does not connect ends the start', async t => {
  const client = new Redis(1, '127.0.0.1', idle)
  client.on('error', () => {})
  t.teardown(() => { client.disconnect() })
  t.match(await mistake(optionsWith(client)), { message: 'redis must connect within 8 seconds' })
})
