import { Cluster, type Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { createSessionValidator, type SessionValidator, type SessionValidatorOptions } from '../../packages/validator/src/index.ts'
import { createSubscriber } from '../../packages/validator/src/subscription.ts'
import { build, secret, tempFolder, type PrivateRedis, type Service } from '../support/helper.ts'
import { startCluster } from '../support/redis/cluster.ts'
import { roleOf, type Deployment } from '../support/redis/deployment.ts'
import { startSentinelGroup } from '../support/redis/sentinel-group.ts'
import type { RedisServer } from '../support/redis/server.ts'
import { asksRedis, clientOf, until, validatorFor } from '../validator/helper.ts'

/** After the death of a master, a validator recovers by itself: log-outs take effect, and it caches again. */

/** Milliseconds of silence after which a master is replaced in these tests. */
const failoverAfter = 1000

interface Setup {
  service: Service
  validator: SessionValidator
}

const readerOf = ({ url, env, passwords }: Deployment): SessionValidatorOptions => ({
  redisUrl: url.replace(`service:${passwords.service}@`, `reader:${passwords.reader}@`),
  sentinelPassword: env.REDIS_SENTINEL_PASSWORD
})

async function setup (t: Test, redis: Deployment): Promise<Setup> {
  // The prefix in users.acl.
  const service = await build(t, { url: redis.url, env: redis.env }, { REDIS_PREFIX: 'rt:' })
  return { service, validator: await validatorFor(t, service, readerOf(redis)) }
}

/** The value of a promise, or the code of its error. */
const outcome = async <T> (promise: Promise<T>): Promise<T | string> => await promise.catch(err => err.code)

/** Kills the master, and waits for its replacement: sessions are valid again, also from the cache, and log-outs take effect. */
async function survives (t: Test, redis: Deployment, { service, validator }: Setup, userId: number, old: RedisServer): Promise<void> {
  const { token } = await service.open({ userId })
  const clients = redis.servers.filter(server => server !== old).map(({ client }) => client)
  await validator.validate(token)
  await old.kill()
  await until(async () => await outcome(validator.validate(token)) === 'unavailable')
  await until(async () => await outcome(asksRedis(validator, token, { clients })) === false)
  t.pass('sessions are validated from the cache again')
  await until(async () => (await service.call('DELETE', `/internal/users/${userId}/sessions`)).statusCode === 204)
  await until(async () => await outcome(validator.validate(token)) === 'revoked')
  t.pass('a log-out takes effect')
}

t.test('Sentinel: subscribes again after the subscription was lost and after the master was killed', async t => {
  const redis = await startSentinelGroup(await tempFolder(t), { failoverAfter })
  t.teardown(redis.stop)
  await redis.watched()
  /** Whether each sentinel has `count` subscribers. */
  const watchers = async (count: number): Promise<boolean> => (await Promise.all(redis.sentinels.map(async ({ client }) =>
    (await client.client('LIST') as string).match(/ sub=1/g)?.length ?? 0))).every(found => found === count)

  const first = createSessionValidator({ ...readerOf(redis), secrets: secret() })
  await until(async () => await watchers(2))
  await redis.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  const isSubscribed = async (): Promise<boolean> => /name=session-validator .* sub=1/.test(await redis.client.client('LIST') as string)
  await until(isSubscribed)
  await first.close()
  await until(async () => await watchers(0))
  t.pass('a closed validator leaves no subscription at the sentinels')

  await survives(t, redis, await setup(t, redis), 1, await redis.masterOf(''))
})

/** A subscriber's connection to a server of a Cluster, and the client of that Cluster. */
async function subscribeAt (t: Test, redis: Deployment, { port }: RedisServer): Promise<{ cluster: Cluster, subscriber: Redis }> {
  const cluster = clientOf(t, { readerUrl: readerOf(redis).redisUrl, env: {} } as PrivateRedis) as Cluster
  await cluster.connect()
  let subscriber
  do subscriber = createSubscriber(cluster)! // at a master by chance
  while (subscriber.options.port !== port)
  await subscriber.connect()
  return { cluster, subscriber }
}

/** The server of a Cluster that the validator is subscribed to. */
async function stationOf ({ servers }: Deployment): Promise<RedisServer> {
  const counts = await Promise.all(servers.map(async ({ client }) => await client.pubsub('NUMSUB', 'rt:events')))
  return servers[counts.findIndex(([, count]) => count === 1)]!
}

t.test('Cluster: recovers after the master of the session and the subscription was killed', async t => {
  const redis = await startCluster(await tempFolder(t), { failoverAfter })
  t.teardown(redis.stop)
  const all = await setup(t, redis)
  const old = await stationOf(redis)
  let userId = 1
  while (await redis.masterOf(`rt:${userId}`) !== old) userId++
  await survives(t, redis, all, userId, old)
})

t.test('Cluster: subscribes elsewhere when the server of the subscription leaves the Cluster and keeps running', async t => {
  const redis = await startCluster(await tempFolder(t))
  t.teardown(redis.stop)
  const { service, validator } = await setup(t, redis)
  const old = await stationOf(redis)
  const { cluster, subscriber } = await subscribeAt(t, redis, old)
  let left = false
  cluster.on('-node', (node: Redis) => { left ||= node.options.port === old.port })

  const id = await old.client.cluster('MYID')
  const replicas = await old.client.cluster('REPLICAS', id) as string[]
  const heir = redis.servers.find(({ port }) => replicas[0]!.includes(`:${port}@`))!
  await heir.client.cluster('FAILOVER')
  await until(async () => await roleOf(old) === 'slave')
  await old.client.cluster('RESET')
  const others = redis.servers.filter(server => server !== old)
  for (const { client } of others) await until(async () => await client.cluster('FORGET', id).then(() => true, () => false))

  await until(async () => {
    await new Promise<void>(resolve => cluster.refreshSlotsCache(() => resolve()))
    return left
  })
  await t.rejects(subscriber.subscribe('rt:events'), { message: /^(Stream isn't writeable|Connection is closed)/ }, 'an event connection to the former member has ended')
  await until(async () => await stationOf(redis) !== old)
  const { token } = await service.open()
  await until(async () => await outcome(asksRedis(validator, token, { clients: others.map(({ client }) => client) })) === false)
  await until(async () => (await service.call('DELETE', '/internal/users/1/sessions')).statusCode === 204)
  await until(async () => await outcome(validator.validate(token)) === 'revoked')
  t.pass('a log-out takes effect')
})

t.test('Cluster: validates sessions while their slot moves to another master', async t => {
  const redis = await startCluster(await tempFolder(t))
  t.teardown(redis.stop)
  const { service, validator } = await setup(t, redis)
  const tokens = await Promise.all(['phone', 'laptop', 'watch', 'car'].map(async deviceId => (await service.open({ deviceId })).token))
  const from = await redis.masterOf('rt:1')
  let steps = 0
  await redis.moveSlot('rt:1', async () => {
    t.match(await validator.validate(tokens.shift()!), { id: 1 })
    if (++steps === 1) return
    // The keys have moved but the slot has not, so the validator needs ASKING.
    for (const { client } of (await redis.masters()).filter(server => server !== from)) {
      await client.pipeline().asking().set('rt:1', 'no hash').exec()
    }
    t.equal(await outcome(validator.validate(tokens.shift()!)), 'unavailable')
    for (const { client } of (await redis.masters()).filter(server => server !== from)) {
      await client.pipeline().asking().del('rt:1').exec()
    }
  })
  t.not(await redis.masterOf('rt:1'), from)
  t.equal(await outcome(validator.validate(tokens.shift()!)), 'revoked')
})
