import { setTimeout as delay } from 'node:timers/promises'
import type { LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { build, claimsOf, guest, recordKeys, secret, startRedis, type PrivateRedis, type Service } from '../helper.ts'

/** Rates by session and by address, counted in Redis: off unless asked for, and never in the way when Redis is. */

const tooMany = '{"code":429,"message":"Too Many Requests"}'

/** Replicas of one service. */
async function buildReplicas (t: Test, redis: PrivateRedis, settings: Record<string, string>): Promise<[Service, Service]> {
  const shared = { REDIS_PREFIX: 'r:', ACCESS_TOKEN_SECRETS: secret(), REFRESH_TOKEN_SECRETS: secret(), ...settings }
  return [await build(t, redis, shared), await build(t, redis, shared)]
}

async function refreshFrom (service: Service, remoteAddress: string, forwarded?: string, refreshToken = 'forged'): Promise<LightMyRequestResponse> {
  return await service.public.inject({
    method: 'POST',
    url: '/api/ps/refresh',
    remoteAddress,
    headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
    payload: { deviceId: guest.deviceId, refreshToken }
  })
}

async function healed (service: Service): Promise<void> {
  while ((await service.internal.inject('/readyz')).statusCode !== 200) await delay(10)
}

t.test('off by default: a refresh is one command, and nothing is counted', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis)
  const { refreshToken } = await service.open()
  t.same([service.public.limitSession, service.public.hasRequestDecorator('limitName')], [undefined, false])
  for (let i = 0; i < 50; i++) t.equal((await service.refresh(refreshToken)).statusCode, 200)
  t.same(await recordKeys(redis), [`${service.config.REDIS_PREFIX}1`])
})

t.test('by session: replicas count together, each session for itself', async t => {
  const redis = await startRedis(t)
  const [one, two] = await buildReplicas(t, redis, { RATE_LIMIT_PER_SESSION: '4/60' })
  const { refreshToken } = await one.open()
  const { sid } = claimsOf(refreshToken)
  const forged = refreshToken.replace(/.$/, last => last === 'A' ? 'Q' : 'A')
  for (let i = 0; i < 10; i++) t.equal((await one.refresh(forged)).statusCode, 400, 'forged tokens use up nobody\'s rate')
  const statuses = []
  for (const replica of [one, two, one, two]) statuses.push((await replica.refresh(refreshToken)).statusCode)
  t.same(statuses, [200, 200, 200, 200])

  const ttl = await redis.client.pttl(`r:limit:session:${sid}`)
  t.ok(ttl > 0 && ttl <= 60_000, 'a counter goes with its window')
  for (const replica of [one, two]) {
    const response = await replica.refresh(refreshToken)
    t.equal(response.statusCode, 429)
    t.equal(response.body, tooMany)
    t.equal(response.headers['cache-control'], 'no-store')
    const seconds = Number(response.headers['retry-after'])
    t.ok(Number.isInteger(seconds) && seconds >= 1 && seconds <= 60)
    t.same(Object.keys(response.headers).filter(name => name.includes('ratelimit')), [])
  }
  const other = await one.open({ deviceId: 'laptop' })
  t.equal((await one.refresh(other.refreshToken, 'laptop')).statusCode, 200)

  await redis.client.del(`r:limit:session:${sid}`)
  t.equal((await two.refresh(refreshToken)).statusCode, 200, 'the session was alive all the time')
})

t.test('by address, before anything else, as trusted proxies tell it', async t => {
  const redis = await startRedis(t)
  const [one, two] = await buildReplicas(t, redis, { RATE_LIMIT_PER_ADDRESS: '2/60', TRUST_PROXY: '10.0.0.0/8' })
  const proxy = '10.0.0.7'
  for (const replica of [one, two]) t.equal((await refreshFrom(replica, proxy, '192.0.2.1')).statusCode, 400)
  for (const replica of [one, two]) {
    const response = await refreshFrom(replica, proxy, '192.0.2.1')
    t.match(response, { statusCode: 429, body: tooMany, headers: { 'retry-after': /^\d+$/ } })
  }
  t.equal((await refreshFrom(one, proxy, '192.0.2.2')).statusCode, 400, 'another client of the same proxy')
  t.equal((await refreshFrom(one, '192.0.2.1', '192.0.2.9')).statusCode, 429, 'what a stranger says of itself does not count')
  t.equal((await refreshFrom(one, '::ffff:192.0.2.1')).statusCode, 429, 'the same address, written otherwise')

  for (const address of ['2001:db8::1', '2001:db8::ffff']) t.equal((await refreshFrom(one, proxy, address)).statusCode, 400)
  t.equal((await refreshFrom(one, proxy, '2001:db8::2')).statusCode, 429, 'an IPv6 client has a /64')
  t.equal((await refreshFrom(one, proxy, '2001:db8:0:1::2')).statusCode, 400)

  const keys = await recordKeys(redis)
  t.equal(keys.length, 4)
  for (const key of keys) {
    t.match(key, /^r:limit:address:[\w-]{12}$/, 'no address in Redis')
    t.ok(await redis.client.pttl(key) > 0)
  }
})

t.test('both, and the log says how many of each', async t => {
  const redis = await startRedis(t)
  const [service] = await buildReplicas(t, redis, { RATE_LIMIT_PER_ADDRESS: '3/60', RATE_LIMIT_PER_SESSION: '1/60' })
  const { refreshToken } = await service.open()
  const statuses = []
  for (let i = 0; i < 4; i++) statuses.push((await service.refresh(refreshToken)).statusCode)
  t.same(statuses, [200, 429, 429, 429])
  await service.public.close()
  t.match(service.log.filter(({ msg }) => msg === 'requests were turned away'), [{ turnedAway: { session: 2, address: 1 } }])
})

t.test('a Redis that can\'t count limits nobody', async t => {
  const redis = await startRedis(t)
  const [service] = await buildReplicas(t, redis, { RATE_LIMIT_PER_SESSION: '1/60' })
  const { refreshToken } = await service.open()
  await redis.client.hset(`r:limit:session:${claimsOf(refreshToken).sid}`, 'no', 'counter')
  for (let i = 0; i < 3; i++) t.equal((await service.refresh(refreshToken)).statusCode, 200)
})

t.test('nor does one that is slow: the refresh goes ahead while the count is still due', async t => {
  const redis = await startRedis(t)
  const [service] = await buildReplicas(t, redis, { RATE_LIMIT_PER_SESSION: '1/60' })
  const { refreshToken } = await service.open()
  t.equal((await service.refresh(refreshToken)).statusCode, 200)
  t.equal((await service.refresh(refreshToken)).statusCode, 429)
  redis.freeze()
  const { redis: connection, sessions } = service.public
  const { rotate } = sessions
  const goesAhead = new Promise<string>(resolve => {
    sessions.rotate = async (...args) => {
      resolve(connection.status)
      return await rotate(...args)
    }
  })
  const answered = service.refresh(refreshToken)
  t.equal(await goesAhead, 'ready', 'before the connection counts as dead')
  redis.thaw()
  t.not((await answered).statusCode, 429)
})

for (const [how, begin, end] of [
  ['frozen', (redis: PrivateRedis) => redis.freeze(), (redis: PrivateRedis) => redis.thaw()],
  ['killed', async (redis: PrivateRedis) => await redis.kill(), async (redis: PrivateRedis) => await redis.start()]
] as const) {
  t.test(`${how}: the answer is the refresh's own, never 429, and the session lives on`, async t => {
    const redis = await startRedis(t)
    const [service] = await buildReplicas(t, redis, { RATE_LIMIT_PER_SESSION: '40/60', RATE_LIMIT_PER_ADDRESS: '40/60', REFRESH_RETRY_WINDOW: '0' })
    const { refreshToken } = await service.open()
    await begin(redis)
    const answers = await Promise.all(Array.from({ length: 30 }, async () => await service.refresh(refreshToken)))
    t.same(new Set(answers.map(({ body }) => body)), new Set(['{"code":500,"message":"Internal Error"}']))
    await end(redis)
    await healed(service)
    const response = await service.refresh(refreshToken)
    t.equal(response.statusCode, 200)
    t.equal(claimsOf(response.json().refreshToken).gen, 2)
  })
}
