import { execFileSync } from 'node:child_process'
import type { LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { nameOfSession } from '#src/overload/rate-limit-names'
import { build, claimsOf, guest, recordKeys, secret, startRedis, until, type PrivateRedis, type Service } from '../support/helper.ts'
import { overRate } from '../support/over-rate.ts'

/** Rate limits by session and by address, counted in Redis: off by default, and without effect while Redis fails. */

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
  await until('the replica is ready again', async () => (await service.internal.inject('/readyz')).statusCode === 200)
}

/** Key of a session's counter. */
const counterOf = (refreshToken: string): string => `r:limit:session:${nameOfSession(claimsOf(refreshToken).sid, guest.deviceId)}`

t.test('counts nothing by default', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis)
  const { refreshToken } = await service.open()
  t.same([service.public.limitSession, service.public.hasRequestDecorator('limitName')], [undefined, false])
  for (let i = 0; i < 50; i++) t.equal((await service.refresh(refreshToken)).statusCode, 200)
  t.same(await recordKeys(redis), [`${service.config.REDIS_PREFIX}1`])
})

t.test('limits refreshes by session, across replicas', async t => {
  const redis = await startRedis(t)
  const [one, two] = await buildReplicas(t, redis, { RATE_LIMIT_PER_SESSION: '4/60' })
  const { refreshToken } = await one.open()
  const counter = counterOf(refreshToken)
  const forged = refreshToken.replace(/.$/, last => last === 'A' ? 'Q' : 'A')
  for (let i = 0; i < 10; i++) t.equal((await one.refresh(forged)).statusCode, 400, 'forged tokens use up nobody\'s rate')
  const statuses = []
  for (const replica of [one, two, one, two]) statuses.push((await replica.refresh(refreshToken)).statusCode)
  t.same(statuses, [200, 200, 200, 200])

  const ttl = await redis.client.pttl(counter)
  t.ok(ttl > 0 && ttl <= 60_000, 'a counter expires with its window')
  for (const replica of [one, two]) {
    const response = await overRate(async () => await replica.refresh(refreshToken))
    t.equal(response.statusCode, 429)
    t.equal(response.body, tooMany)
    t.equal(response.headers['cache-control'], 'no-store')
    const seconds = Number(response.headers['retry-after'])
    t.ok(Number.isInteger(seconds) && seconds >= 1 && seconds <= 60)
    t.same(Object.keys(response.headers).filter(name => name.includes('ratelimit')), [])
  }
  const other = await one.open({ deviceId: 'laptop' })
  t.equal((await one.refresh(other.refreshToken, 'laptop')).statusCode, 200)

  await redis.client.del(counter)
  t.equal((await two.refresh(refreshToken)).statusCode, 200, 'the session is still valid')
})

t.test('a stolen token with another device id does not use up the owner\'s limit, and makes a bounded number of counters', async t => {
  const redis = await startRedis(t)
  const [service] = await buildReplicas(t, redis, { RATE_LIMIT_PER_SESSION: '3/60' })
  const { refreshToken } = await service.open()
  await until('the thief is over the limit', async () => (await service.refresh(refreshToken, 'stolen')).statusCode === 429)
  for (let i = 0; i < 20; i++) t.equal((await service.refresh(refreshToken, `guess ${i}`)).statusCode, 400)
  t.equal((await service.refresh(refreshToken)).statusCode, 200, 'the owner')

  const keys = await redis.client.keys('r:limit:*')
  t.ok(keys.length > 15)
  for (const key of keys) t.match(key, /^r:limit:session:[\w-]{22}:[\w-]{3}$/, 'the name has 18 bits of the hash of the device id')
})

t.test('a rate-limited request frees its place under MAX_REFRESHES_IN_FLIGHT', async t => {
  const redis = await startRedis(t)
  const [service] = await buildReplicas(t, redis, { RATE_LIMIT_PER_ADDRESS: '1000/60', RATE_LIMIT_PER_SESSION: '3/60', MAX_REFRESHES_IN_FLIGHT: '1' })
  const { refreshToken } = await service.open()
  const statuses = []
  for (let i = 0; i < 6; i++) statuses.push((await service.refresh(refreshToken)).statusCode)
  t.notOk(statuses.includes(500), 'no request was shed')
  t.equal((await overRate(async () => await service.refresh(refreshToken))).statusCode, 429)
  t.equal(service.public.concurrencyLimit.refusal(), undefined)
})

t.test('requests whose connection was reset count as aborted and log one line a second', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis, { RATE_LIMIT_PER_ADDRESS: '999999/60' })
  const port = Number(new URL(await service.public.listen({ host: '127.0.0.1', port: 0 })).port)
  const flood = `
    const { connect } = require('node:net')
    const bytes = 'POST /api/ps/refresh HTTP/1.1\\r\\nHost: a\\r\\nContent-Type: application/json\\r\\nContent-Length: 2\\r\\n\\r\\n{}'
    for (let i = 0; i < 200; i++) {
      const socket = connect(${port}, '127.0.0.1', () => { socket.write(bytes, () => { socket.resetAndDestroy() }) })
    }`
  // execFileSync blocks this process: the connections that it accepts afterwards have been reset.
  execFileSync(process.execPath, ['-e', flood])
  const refreshes = (): number => Object.values(service.metrics.refreshes).reduce((sum, count) => sum + count)
  await until('200 requests are counted', () => refreshes() === 200)
  t.equal(service.metrics.refreshes.aborted, 200)
  await service.public.close()
  const lines = service.log.filter(({ level, refused }) => Number(level) > 30 || refused !== undefined)
  t.equal(lines.reduce((sum, { refused }) => sum + (refused as { RTS_ABORTED: number }).RTS_ABORTED, 0), 200)
  t.ok(lines.length < 10, `${lines.length} lines`)
  t.same(await redis.client.keys('*limit*'), [])
})

t.test('limits refreshes by the address that a trusted proxy forwards, even with a forged token', async t => {
  const redis = await startRedis(t)
  const [one, two] = await buildReplicas(t, redis, { RATE_LIMIT_PER_ADDRESS: '2/60', TRUST_PROXY: '10.0.0.0/8' })
  const proxy = '10.0.0.7'
  for (const replica of [one, two]) t.equal((await refreshFrom(replica, proxy, '192.0.2.1')).statusCode, 400)
  for (const replica of [one, two]) {
    const response = await overRate(async () => await refreshFrom(replica, proxy, '192.0.2.1'))
    t.match(response, { statusCode: 429, body: tooMany, headers: { 'retry-after': /^\d+$/ } })
  }
  t.equal((await refreshFrom(one, proxy, '192.0.2.2')).statusCode, 400, 'another client of the same proxy')
  t.equal((await overRate(async () => await refreshFrom(one, '192.0.2.1', '192.0.2.9'))).statusCode, 429, 'X-Forwarded-For of an untrusted client is ignored')
  t.equal((await overRate(async () => await refreshFrom(one, '::ffff:192.0.2.1'))).statusCode, 429, 'the same address in its IPv6 spelling')

  for (const address of ['2001:db8::1', '2001:db8::ffff']) t.equal((await refreshFrom(one, proxy, address)).statusCode, 400)
  t.equal((await overRate(async () => await refreshFrom(one, proxy, '2001:db8::2'))).statusCode, 429, 'an IPv6 client counts by its /64')
  t.equal((await refreshFrom(one, proxy, '2001:db8:0:1::2')).statusCode, 400)

  const keys = await recordKeys(redis)
  t.equal(keys.length, 4)
  for (const key of keys) {
    t.match(key, /^r:limit:address:[\w-]{12}$/, 'no address in Redis')
    t.ok(await redis.client.pttl(key) > 0)
  }
})

t.test('with both limits, the log has the number of refusals of each', async t => {
  const redis = await startRedis(t)
  const [service] = await buildReplicas(t, redis, { RATE_LIMIT_PER_ADDRESS: '100/60', RATE_LIMIT_PER_SESSION: '1/60' })
  const { refreshToken } = await service.open()
  const refresh = async (): Promise<LightMyRequestResponse> => await service.refresh(refreshToken)
  t.equal((await refresh()).statusCode, 200)
  for (let i = 0; i < 2; i++) t.equal((await overRate(refresh)).statusCode, 429, 'by session')
  const [address] = await redis.client.keys('r:limit:address:*')
  await redis.client.set(address!, 100, 'KEEPTTL')
  // A forged token: the limit by session never refuses it, even when the count of the address is late.
  t.equal((await overRate(async () => await service.refresh('forged'))).statusCode, 429, 'by address')
  await service.public.close()
  const lines = service.log.filter(({ msg }) => msg === 'requests were turned away').map(({ turnedAway }) => turnedAway as Record<string, number>)
  const sum = (reason: string): number => lines.reduce((sum, counts) => sum + (counts[reason] ?? 0), 0)
  t.same([sum('session'), sum('address')], [2, 1])
})

t.test('limits nobody when Redis can\'t count', async t => {
  const redis = await startRedis(t)
  const [service] = await buildReplicas(t, redis, { RATE_LIMIT_PER_SESSION: '1/60' })
  const { refreshToken } = await service.open()
  await redis.client.hset(counterOf(refreshToken), 'no', 'counter')
  for (let i = 0; i < 3; i++) t.equal((await service.refresh(refreshToken)).statusCode, 200)
})

t.test('a refresh proceeds when Redis does not count in time', async t => {
  const redis = await startRedis(t)
  const [service] = await buildReplicas(t, redis, { RATE_LIMIT_PER_SESSION: '1/60' })
  const { refreshToken } = await service.open()
  t.equal((await service.refresh(refreshToken)).statusCode, 200)
  t.equal((await overRate(async () => await service.refresh(refreshToken))).statusCode, 429)
  redis.freeze()
  const { redis: connection, store } = service.public
  const { rotate } = store
  const goesAhead = new Promise<string>(resolve => {
    store.rotate = async (...args) => {
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
  t.test(`while Redis is ${how}, a refresh answers 500, never 429, and its session survives`, async t => {
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
