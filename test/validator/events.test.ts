import { once } from 'node:events'
import { Cluster, type Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { createTopology } from '#src/redis/topology'
import type { SessionCache } from '../../packages/validator/src/cache.ts'
import { useClient } from '../../packages/validator/src/connection.ts'
import { createSessionValidator, type SessionValidator } from '../../packages/validator/src/index.ts'
import { createSubscriber, subscribe } from '../../packages/validator/src/subscription.ts'
import { build, claimsOf, guest, startRedis, type PrivateRedis, type Service, type TokensBody } from '../support/helper.ts'
import { asksRedis, clientOf, codeOf, optionsFor, readerOf, until, validatorFor } from './helper.ts'

/** Cached answers have no time limit here: only an event or a lost subscription drops one. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

interface Setup {
  service: Service
  validator: SessionValidator
  tokens: TokensBody
  sid: string
}

/** A validator that has cached the answer for a session. */
async function setup (t: Test, overrides: Record<string, string> = {}): Promise<Setup> {
  const service = await build(t, redis, overrides)
  const validator = await validatorFor(t, service, readerOf(redis))
  const tokens = await service.open()
  t.equal(await fromRedis(validator, tokens.token), true)
  t.equal(await fromRedis(validator, tokens.token), false, 'from the cache')
  return { service, validator, tokens, sid: claimsOf(tokens.token).sid }
}

/** Validates; returns whether Redis was asked. */
const fromRedis = async (validator: SessionValidator, token: string): Promise<boolean> => await asksRedis(validator, token, redis)

/** The number of connections that subscribe to the events of a service. */
async function listeners ({ config }: Service): Promise<number> {
  const counts = await Promise.all(redis.clients.map(async client => await client.pubsub('NUMSUB', `${config.REDIS_PREFIX}events`) as [string, number]))
  return counts.reduce((sum, [, count]) => sum + count, 0)
}

/** The connection of a Cluster client to the master of a key. */
function masterOf (cluster: Cluster, key: string): Redis {
  const topology = createTopology(cluster)
  return topology.node(topology.ownerOf(key))!
}

t.test('the cache pauses as soon as the subscription ends', async t => {
  const service = await build(t, redis)
  const { redis: client } = useClient(clientOf(t, redis))
  let subscriber: Redis | undefined
  let state = ''
  const cache = { resume: () => { state = 'resumed' }, pause: () => { state = 'paused' }, dropUser () {}, clear () {} }
  const create = (): Redis | undefined => (subscriber = createSubscriber(client))
  const { subscribed, unsubscribe } = subscribe(create, `${service.config.REDIS_PREFIX}events`, cache as unknown as SessionCache)
  t.teardown(unsubscribe)
  await subscribed
  t.equal(state, 'resumed', 'it caches once it is subscribed')
  const ended = once(subscriber!, 'end')
  for (const client of redis.clients) await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  await ended
  t.equal(state, 'paused', 'and not longer')
})

t.test('every end of a session is noticed', async t => {
  const ends: Record<string, (setup: Setup) => Promise<unknown>> = {
    'a log-out': async ({ service, sid }) => await service.call('DELETE', `/internal/users/1/sessions/${sid}`),
    'a log-out everywhere': async ({ service }) => await service.call('DELETE', '/internal/users/1/sessions'),
    'a log-in on the same device': async ({ service }) => await service.open(),
    'one device too many': async ({ service }) => {
      await service.open({ deviceId: 'laptop' })
      await service.open({ deviceId: 'watch' })
    },
    reuse: async ({ service, tokens }) => {
      await service.refresh(tokens.refreshToken)
      t.equal((await service.refresh(tokens.refreshToken)).statusCode, 400)
    },
    'an expiry that is noticed': async ({ service, sid }) => {
      const key = `${service.config.REDIS_PREFIX}1`
      await redis.client.hset(key, `s:${sid}`, '1:1:1:2:AAAAAAAAAAAAAAAA')
      await service.call('GET', '/internal/users/1/sessions')
    }
  }
  for (const [what, end] of Object.entries(ends)) {
    const all = await setup(t, { MAX_SESSIONS_PER_USER: '2', REFRESH_RETRY_WINDOW: '0' })
    await end(all)
    await until(async () => await codeOf(all.validator.validate(all.tokens.token)) === 'revoked')
    t.pass(what)
  }
})

t.test('a refresh, and the log-out of another user, drop nothing', async t => {
  const { service, validator, tokens } = await setup(t)
  await service.refresh(tokens.refreshToken)
  const other = await service.open({ userId: 2 })
  await validator.validate(other.token)
  await service.call('DELETE', '/internal/users/2/sessions')
  await until(async () => await codeOf(validator.validate(other.token)) === 'revoked')
  t.equal(await fromRedis(validator, tokens.token), false)
})

t.test('an event about a user with a text id drops the answers of this user alone', async t => {
  const { service, validator, tokens } = await setup(t)
  const other = await service.open({ userId: 'user_01' })
  await validator.validate(other.token)
  await service.call('DELETE', '/internal/users/user_01/sessions')
  await until(async () => await codeOf(validator.validate(other.token)) === 'revoked')
  t.equal(await fromRedis(validator, tokens.token), false)
})

t.test('a changed profile takes effect at once', async t => {
  const { service, validator, tokens } = await setup(t)
  const changes: Array<[expected: { email?: string, role: string }, change: () => Promise<unknown>]> = [
    [{ role: 'ADMIN' }, async () => await service.call('PATCH', '/internal/users/1', { role: 'ADMIN' })],
    [{ email: 'new@keygenqt.com', role: 'ADMIN' }, async () => await service.call('PATCH', '/internal/users/1', { email: 'new@keygenqt.com' })],
    [{ email: guest.email, role: guest.role }, async () => await service.open({ deviceId: 'laptop' })]
  ]
  for (const [expected, change] of changes) {
    const before = await validator.validate(tokens.token)
    await change()
    await until(async () => await validator.validate(tokens.token) !== before)
    t.match(await validator.validate(tokens.token), expected)
  }
})

t.test('an answer older than an event is returned, but not cached', async t => {
  const service = await build(t, redis)
  const client = clientOf(t, redis)
  const validator = await validatorFor(t, service, { redisUrl: undefined, redis: client })
  const { token } = await service.open()
  const laptop = await service.open({ deviceId: 'laptop' })
  await validator.validate(laptop.token)

  // Holds back Redis's answer.
  let release!: () => void
  const released = new Promise<void>(resolve => { release = resolve })
  const server = client instanceof Cluster ? masterOf(client, `${service.config.REDIS_PREFIX}1`) : client
  const hmget = server.hmget.bind(server) as (...args: unknown[]) => Promise<unknown>
  const answered = new Promise<void>(resolve => {
    server.hmget = (async (...args: unknown[]) => {
      const answer = await hmget(...args)
      server.hmget = hmget as typeof server.hmget
      resolve()
      await released
      return answer
    }) as typeof server.hmget
  })
  const early = validator.validate(token)
  await answered
  await service.call('DELETE', '/internal/users/1/sessions')
  await until(async () => await codeOf(validator.validate(laptop.token)) === 'revoked')
  release()
  t.match(await early, { id: 1 }, 'it was asked before the end')
  t.equal(await codeOf(validator.validate(token)), 'revoked')
})

t.test('a lost subscription is renewed, and the cache starts empty', async t => {
  const { service, validator, tokens } = await setup(t)
  for (const client of redis.clients) await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  await redis.client.hset(`${service.config.REDIS_PREFIX}1`, 'role', 'ADMIN') // sends no event
  await until(async () => await listeners(service) === 1)
  t.equal((await validator.validate(tokens.token)).role, 'ADMIN', 'the answer from before the gap is dropped')
  await until(async () => !await fromRedis(validator, tokens.token))
  await service.call('DELETE', '/internal/users/1/sessions')
  await until(async () => await codeOf(validator.validate(tokens.token)) === 'revoked')
})

t.test('a silent subscription ends answers from the cache', async t => {
  const { validator, tokens } = await setup(t)
  t.teardown(() => { redis.thaw() })
  redis.freeze()
  await until(async () => await codeOf(validator.validate(tokens.token)) !== undefined)
  t.equal(await codeOf(validator.validate(tokens.token)), 'unavailable', 'no answer from a cache without events')
  redis.thaw()
  await until(async () => await codeOf(validator.validate(tokens.token)) === undefined)
})

t.test('while Redis refuses the subscription, every call asks Redis, and the validator subscribes again', async t => {
  const service = await build(t, redis)
  const prefix = service.config.REDIS_PREFIX
  const name = `deaf:${prefix}`
  const setUser = async (...rules: string[]): Promise<void> => {
    for (const client of redis.clients) await client.acl('SETUSER', name, ...rules)
  }
  await setUser('on', '>sesame', 'resetchannels', `~${prefix}*`, '+hmget', '+subscribe', '+cluster|slots', '+ping', '+select')
  const client = clientOf(t, redis, { username: name, password: 'sesame' })
  const validator = createSessionValidator(optionsFor(service, { redisUrl: undefined, redis: client }))
  t.teardown(async () => await validator.close())
  const { token } = await service.open()
  for (let i = 0; i < 3; i++) t.equal(await fromRedis(validator, token), true)
  await t.rejects(validator.ready(), { code: 'unavailable', message: /no subscription/ })
  await setUser(`&${prefix}events`)
  await until(async () => !await fromRedis(validator, token))

  await setUser('resetchannels') // which closes the subscriber's connection
  await until(async () => await fromRedis(validator, token))
  for (let i = 0; i < 3; i++) t.equal(await fromRedis(validator, token), true)
})

t.test('an event that can\'t be parsed drops all answers; an event of an unknown type drops those of its user', async t => {
  const { service, validator, tokens } = await setup(t)
  const other = await service.open({ userId: 2 })
  await until(async () => await codeOf(validator.validate(other.token)) === undefined)
  const publish = async (text: string): Promise<void> => { await redis.clients[0]!.publish(`${service.config.REDIS_PREFIX}events`, text) }
  for (const text of ['{', 'null', '{"id":"1"}', '{"type":"new","id":1}']) {
    await publish(text)
    await until(async () => await fromRedis(validator, tokens.token))
    t.pass(text)
  }
  await until(async () => await codeOf(validator.validate(other.token)) === undefined)
  await publish('{"type":"new","id":2}')
  await until(async () => await fromRedis(validator, other.token))
  t.equal(await fromRedis(validator, tokens.token), false)
})

t.test('without a cache, every call asks Redis, and there is no subscription', async t => {
  const service = await build(t, redis)
  const validator = await validatorFor(t, service, { ...readerOf(redis), cache: false })
  const { token } = await service.open()
  for (let i = 0; i < 3; i++) t.equal(await fromRedis(validator, token), true)
  const channel = `${service.config.REDIS_PREFIX}events`
  for (const client of redis.clients) t.same(await client.pubsub('NUMSUB', channel), [channel, 0])
})
