import t from 'tap'
import { createSessionValidator } from '../../packages/validator/src/index.ts'
import { build, guest, startRedis, topology, type PrivateRedis } from '../support/helper.ts'
import { clientOf, codeOf, optionsFor, readerOf, until, validatorFor } from './helper.ts'

/** The validator's connections, in each topology, as a Redis user who can only read. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

t.test('sessions are looked up by URL, and with the caller\'s own client', async t => {
  const service = await build(t, redis)
  const byUrl = await validatorFor(t, service, readerOf(redis))
  const byClient = await validatorFor(t, service, { redisUrl: undefined, redis: clientOf(t, redis) })
  for (let userId = 1; userId <= 9; userId++) {
    const { token } = await service.open({ userId })
    t.match(await byUrl.validate(token), { id: userId, email: guest.email })
    t.match(await byClient.validate(token), { id: userId, email: guest.email })
    await service.call('DELETE', `/internal/users/${userId}/sessions`)
    for (const validator of [byUrl, byClient]) await until(async () => await codeOf(validator.validate(token)) === 'revoked')
  }
})

t.test('while Redis is frozen, the result is unavailable; afterwards the validator recovers', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis)
  for (const place of [readerOf(redis), { redisUrl: undefined, redis: clientOf(t, redis) }]) {
    const validator = await validatorFor(t, service, { cache: false, ...place })
    const { token } = await service.open()
    await validator.validate(token)
    redis.freeze()
    await t.rejects(validator.validate(token), { code: 'unavailable', message: /^Redis could not be used: / })
    redis.thaw()
    await until(async () => await codeOf(validator.validate(token)) === undefined)
    // The service reconnects by itself too.
    await until(async () => (await service.call('GET', '/internal/users/1/sessions')).statusCode === 200)
  }
})

t.test('the validator connects to a Redis that starts later, and reconnects after a restart', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis)
  const { token } = await service.open()
  await redis.kill()
  const validator = createSessionValidator(optionsFor(service, readerOf(redis)))
  t.teardown(async () => await validator.close())
  const unreachable = topology === 'sentinel' ? /connect ECONNREFUSED|All sentinels are unreachable/ : /connect (ENOENT|ECONNREFUSED)/
  await t.rejects(validator.ready(), { code: 'unavailable', message: unreachable })
  t.equal(await codeOf(validator.validate(token)), 'unavailable')
  await redis.start()
  await until(async () => await codeOf(validator.ready()) === undefined)
  await until(async () => await codeOf(validator.validate(token)) === undefined)
  await redis.kill()
  await until(async () => await codeOf(validator.validate(token)) === 'unavailable')
  await redis.start()
  await until(async () => await codeOf(validator.validate(token)) === undefined)
})

t.test('ready waits until the caller\'s own client is connected, and connects one that waits', async t => {
  const service = await build(t, redis)
  for (const lazyConnect of [true, false]) {
    const client = clientOf(t, redis, { lazyConnect })
    t.not(client.status, 'ready')
    const validator = createSessionValidator(optionsFor(service, { redisUrl: undefined, redis: client, cache: false }))
    await validator.ready()
    t.equal(client.status, 'ready')
  }
  const ended = clientOf(t, redis, { lazyConnect: true })
  ended.disconnect()
  await until(async () => ended.status === 'end')
  const validator = createSessionValidator(optionsFor(service, { redisUrl: undefined, redis: ended, cache: false }))
  const { token } = await service.open()
  await t.rejects(validator.validate(token), { code: 'unavailable', message: /^Redis could not be used: (?!after)/ }, 'and does not wait for one that has ended')
})

t.test('the first call waits for the connection', async t => {
  const service = await build(t, redis)
  const { token } = await service.open()
  const validator = createSessionValidator(optionsFor(service, readerOf(redis)))
  t.teardown(async () => await validator.close())
  t.match(await validator.validate(token), { id: 1 })
})

t.test('close ends the validator\'s own connections only', async t => {
  const service = await build(t, redis)
  const connections = async (): Promise<string[]> =>
    (await Promise.all(redis.clients.map(async client => (await client.client('LIST') as string).match(/name=\S*session-validator/g) ?? []))).flat()
  const client = clientOf(t, redis)
  const validator = await validatorFor(t, service, { redisUrl: undefined, redis: client })
  t.same((await connections()).length, 1, 'the subscription')
  await validator.close()
  await until(async () => (await connections()).length === 0)
  t.equal(await client.hget(`${service.config.REDIS_PREFIX}1`, 'role'), null)

  const byUrl = await validatorFor(t, service, readerOf(redis))
  const { token } = await service.open()
  await byUrl.validate(token)
  await byUrl.close()
  t.equal(await codeOf(byUrl.validate(token)), 'unavailable', 'not even from memory')
  await byUrl.close()
  await until(async () => (await connections()).length === 0)
})

t.test('close works at once, and while Redis is away', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis)
  const { token } = await service.open()
  await createSessionValidator(optionsFor(service, readerOf(redis))).close()
  const validator = await validatorFor(t, service, readerOf(redis))
  await redis.kill()
  await until(async () => await codeOf(validator.validate(token)) === 'unavailable')
  await validator.close()
  await redis.start()
  t.equal(await codeOf(validator.validate(token)), 'unavailable')
})
