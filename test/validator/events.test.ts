import { once } from 'node:events'
import type { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { createSessionValidator, type SessionValidator } from '../../src/validator/index.ts'
import { build, claimsOf, guest, startRedis, type PrivateRedis, type Service, type TokensBody } from '../helper.ts'
import { clientOf, codeOf, lookups, optionsFor, until, validatorFor } from './helper.ts'

/** Cached answers live for ever here: whatever ends one is an event, or a gap in hearing them. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

interface Setup {
  service: Service
  validator: SessionValidator
  tokens: TokensBody
  sid: string
  client: Redis
  subscriber: Redis
}

/** A validator that has the answer for a session in its memory. */
async function setup (t: Test, overrides: Record<string, string> = {}): Promise<Setup> {
  const service = await build(t, redis, overrides)
  const { client, subscriber } = await clientOf(t, redis)
  const validator = await validatorFor(t, service, { redisUrl: undefined, redis: client })
  const tokens = await service.open()
  t.equal(await fromRedis(validator, tokens.token), true)
  t.equal(await fromRedis(validator, tokens.token), false, 'from memory')
  return { service, validator, tokens, sid: claimsOf(tokens.token).sid, client, subscriber: await subscriber }
}

/** Validates; says whether Redis was asked. */
async function fromRedis (validator: SessionValidator, token: string): Promise<boolean> {
  const before = await lookups(redis)
  await validator.validate(token)
  return await lookups(redis) > before
}

t.test('every end of a session is heard', async t => {
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
    const heard = once(all.subscriber, 'message')
    await end(all)
    await heard
    await until(async () => await codeOf(all.validator.validate(all.tokens.token)) === 'revoked')
    t.pass(what)
  }
})

t.test('a refresh and another user\'s end forget nothing', async t => {
  const { service, validator, tokens, subscriber } = await setup(t)
  await service.refresh(tokens.refreshToken)
  await service.open({ userId: 2 })
  const heard = once(subscriber, 'message')
  await service.call('DELETE', '/internal/users/2/sessions')
  await heard
  t.equal(await fromRedis(validator, tokens.token), false)
})

t.test('a changed profile holds at once, whoever changed it', async t => {
  const { service, validator, tokens, subscriber } = await setup(t)
  const changes: Array<[object, () => Promise<unknown>]> = [
    [{ role: 'ADMIN' }, async () => await service.call('PATCH', '/internal/users/1', { role: 'ADMIN' })],
    [{ email: 'new@keygenqt.com', role: 'ADMIN' }, async () => await service.call('PATCH', '/internal/users/1', { email: 'new@keygenqt.com' })],
    [{ email: guest.email, role: guest.role }, async () => await service.open({ deviceId: 'laptop' })]
  ]
  for (const [expected, change] of changes) {
    const heard = once(subscriber, 'message')
    await change()
    await heard
    t.match(await validator.validate(tokens.token), expected)
  }
})

t.test('an answer overtaken by an event is given, but not kept', async t => {
  const service = await build(t, redis)
  const { client, subscriber } = await clientOf(t, redis)
  const validator = await validatorFor(t, service, { redisUrl: undefined, redis: client })
  const { token } = await service.open()

  // Redis has answered, and the answer is held back on its way.
  const hmget = client.hmget.bind(client) as (...args: unknown[]) => Promise<unknown>
  let release!: () => void
  const released = new Promise<void>(resolve => { release = resolve })
  const answered = new Promise<void>(resolve => {
    client.hmget = (async (...args: unknown[]) => {
      const answer = await hmget(...args)
      client.hmget = hmget as typeof client.hmget
      resolve()
      await released
      return answer
    }) as typeof client.hmget
  })
  const early = validator.validate(token)
  await answered
  const heard = once(await subscriber, 'message')
  await service.call('DELETE', '/internal/users/1/sessions')
  await heard
  release()
  t.match(await early, { id: 1 }, 'it was asked before the end')
  t.equal(await codeOf(validator.validate(token)), 'revoked')
})

t.test('without the subscription every call asks Redis', async t => {
  const { service, validator, tokens, subscriber } = await setup(t)
  const gone = once(subscriber, 'end')
  subscriber.disconnect()
  await gone
  for (let i = 0; i < 3; i++) t.equal(await fromRedis(validator, tokens.token), true)

  await redis.client.hset(`${service.config.REDIS_PREFIX}1`, 'role', 'ADMIN') // which announces nothing
  t.match(await validator.validate(tokens.token), { role: 'ADMIN' })
  await subscriber.connect()
  await until(async () => !await fromRedis(validator, tokens.token))
  await service.call('DELETE', '/internal/users/1/sessions')
  await until(async () => await codeOf(validator.validate(tokens.token)) === 'revoked')
})

t.test('a subscription that broke is made again, and what was known before is not trusted', async t => {
  const { service, validator, tokens, subscriber } = await setup(t)
  const ids = /id=(\d+) .*name=session-validator .*cmd=subscribe/
  const [, id] = ids.exec(await redis.client.client('LIST') as string)!
  const lost = new Promise(resolve => subscriber.once('close', resolve)) // events.once would fail with the error before it
  await redis.client.client('KILL', 'ID', id!)
  await lost
  await redis.client.hset(`${service.config.REDIS_PREFIX}1`, 'role', 'ADMIN')
  await until(async () => !await fromRedis(validator, tokens.token))
  t.match(await validator.validate(tokens.token), { role: 'ADMIN' })
})

t.test('a subscription that fell silent is noticed without any traffic', async t => {
  const { validator, tokens, subscriber } = await setup(t)
  const lost = new Promise(resolve => subscriber.once('close', resolve)) // events.once would fail with the error before it
  redis.freeze()
  await lost
  t.equal(await codeOf(validator.validate(tokens.token)), 'unavailable', 'memory that nobody corrects is no answer')
  redis.thaw()
  await until(async () => await codeOf(validator.validate(tokens.token)) === undefined)
})

t.test('a refused subscription is asked for again', async t => {
  const service = await build(t, redis)
  const prefix = service.config.REDIS_PREFIX
  await redis.client.acl('SETUSER', 'deaf', 'on', '>sesame', 'resetchannels', `~${prefix}*`, '+hmget', '+subscribe')
  const { client: admin } = await clientOf(t, redis)
  const client = admin.duplicate({ username: 'deaf', password: 'sesame', enableReadyCheck: false })
  t.teardown(() => { client.disconnect() })
  const validator = createSessionValidator(optionsFor(service, { redisUrl: undefined, redis: client }))
  t.teardown(async () => await validator.close())
  const { token } = await service.open()
  t.equal(await fromRedis(validator, token), true)
  t.equal(await fromRedis(validator, token), true)
  await t.rejects(validator.ready(), { code: 'unavailable', message: /no subscription/ })
  await redis.client.acl('SETUSER', 'deaf', `&${prefix}events`)
  await until(async () => !await fromRedis(validator, token))
  t.pass('now it hears')
})

t.test('what can\'t be read may be about anybody; an unknown type is about its user', async t => {
  const { service, validator, tokens, subscriber } = await setup(t)
  const channel = `${service.config.REDIS_PREFIX}events`
  for (const [text, asks] of [['{', true], ['null', true], ['{"id":"1"}', true], ['{"type":"new","id":1}', true], ['{"type":"new","id":2}', false]] as const) {
    const heard = once(subscriber, 'message')
    await redis.client.publish(channel, text)
    await heard
    t.equal(await fromRedis(validator, tokens.token), asks, text)
  }
})

t.test('without a cache every call asks Redis, and nobody listens', async t => {
  const service = await build(t, redis)
  const validator = await validatorFor(t, service, { cache: false })
  const { token } = await service.open()
  for (let i = 0; i < 3; i++) t.equal(await fromRedis(validator, token), true)
  t.same(await redis.client.pubsub('NUMSUB', `${service.config.REDIS_PREFIX}events`), [`${service.config.REDIS_PREFIX}events`, 0])
})
