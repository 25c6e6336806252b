import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { createRedisClock } from '#src/sessions/servers'
import { createSessionStore } from '#src/sessions/store'
import { build, claimsOf, guest, startRedis, topology, until, type Service } from './support/helper.ts'

/** Failures of a real Redis: no client loses its session. */

const internalError = '{"code":500,"message":"Internal Error"}'

const oneConnection = topology === 'single' ? {} : { skip: 'about one connection to one server' }
const byHand = topology === 'single' ? {} : { skip: 'nobody makes a master a replica by hand there: see the tests of failovers' }

/** Resolves when both listeners have reconnected and can serve the guest. */
async function healed (service: Service): Promise<void> {
  const reach = async (): Promise<boolean> =>
    await Promise.all([service.public, service.internal].map(async ({ store }) => await store.find(guest.userId, 'any'))).then(() => true, () => false)
  await until('Redis can be used again', async () => await reach() && (await service.internal.inject('/readyz')).statusCode === 200)
}

async function assertDown (t: Test, service: Service, refreshToken: string): Promise<void> {
  const response = await service.refresh(refreshToken)
  t.equal(response.statusCode, 500)
  t.equal(response.body, internalError)
  t.equal(response.headers['cache-control'], 'no-store')
  t.equal((await service.internal.inject('/readyz')).statusCode, 503)
  t.equal((await service.internal.inject('/healthz')).statusCode, 200)
}

t.test('while Redis is frozen a refresh answers 500, and a refresh that timed out never takes effect later', async t => {
  const redis = await startRedis(t)
  // Without a retry window, a late rotation would end the session.
  const service = await build(t, redis, { REFRESH_RETRY_WINDOW: '0' })
  const { refreshToken } = await service.open()
  redis.freeze()
  const copies = await Promise.all(Array.from({ length: 20 }, async () => await service.refresh(refreshToken)))
  t.same(new Set(copies.map(({ statusCode }) => statusCode)), new Set([500]))
  await assertDown(t, service, refreshToken)
  t.equal((await service.call('POST', '/internal/sessions', { ...guest, deviceId: 'other' })).body, internalError)
  redis.thaw()
  await healed(service)
  const response = await service.refresh(refreshToken)
  t.equal(response.statusCode, 200)
  t.equal(claimsOf(response.json().refreshToken).gen, 2)
  t.equal((await service.call('GET', '/internal/users/1/sessions')).json().sessions.length, 1, 'the other session was not opened')
})

t.test('a call whose deadline came from a wrong clock corrects the clock and tries again', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis)
  const { refreshToken } = await service.open()
  const options = { prefix: service.config.REDIS_PREFIX, idleTtl: 100, absoluteTtl: 100, retryWindow: 30, maxSessionsPerUser: 5 }
  const clock = createRedisClock()
  clock.observe(Date.now() - 3_600_000)
  const store = createSessionStore(service.public.redis, options, () => clock)
  t.match(await store.rotate(claimsOf(refreshToken), guest.deviceId), { outcome: 'rotated' })

  const stopped = createSessionStore(service.public.redis, options, () => ({ observe: () => {}, reset: () => {}, deadline: () => 1 }))
  await t.rejects(stopped.rotate(claimsOf(refreshToken), guest.deviceId), { code: 'RTS_STORE_UNAVAILABLE', message: /too late/ })
  await t.rejects(stopped.open(guest), { code: 'RTS_STORE_UNAVAILABLE' })
  await t.rejects(stopped.updateProfile(1, { role: 'ADMIN' }), { code: 'RTS_STORE_UNAVAILABLE' })
  await t.rejects(stopped.revokeAll(1), { code: 'RTS_STORE_UNAVAILABLE' })
  t.equal((await store.list(1)).length, 1)
})

t.test('the estimate of Redis\'s clock is discarded when the connection closes', oneConnection, async t => {
  const redis = await startRedis(t)
  const clock = createRedisClock()
  const known = (): boolean => clock.deadline(performance.now()) !== undefined
  const store = createSessionStore(redis.client,
    { prefix: 'c:', idleTtl: 100, absoluteTtl: 100, retryWindow: 30, maxSessionsPerUser: 5 }, () => clock)
  await store.list(1)
  t.ok(known())
  const closed = once(redis.client, 'close')
  await redis.kill()
  await closed
  t.notOk(known(), 'the next server may have another clock')
  await redis.start()
  await until('the clock of the new connection is known', known)
  t.same(await store.list(1), [])
})

t.test('a refresh answers 500 while Redis is down and succeeds after the restart', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis)
  const { refreshToken } = await service.open()
  await redis.kill()
  await assertDown(t, service, refreshToken)
  await redis.start()
  await healed(service)
  t.equal(claimsOf((await service.refresh(refreshToken)).json().refreshToken).gen, 2)
  t.match(service.log.filter(({ msg }) => /connection to Redis/.test(String(msg))).map(({ surface, msg }) => `${surface}: ${msg}`).sort(), [
    'internal: the connection to Redis is back', 'internal: the connection to Redis is lost',
    'public: the connection to Redis is back', 'public: the connection to Redis is lost'
  ], 'one line for each change, not for each attempt to connect')
})

t.test('a refresh answers 500 while the master is a replica', byHand, async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis)
  const { refreshToken } = await service.open()
  await redis.client.replicaof('127.0.0.1', '1')
  await assertDown(t, service, refreshToken)
  for (let i = 0; i < 100; i++) await service.refresh(refreshToken)
  const lost = service.log.filter(({ surface, msg }) => surface === 'public' && msg === 'the connection to Redis is lost')
  t.ok(lost.length < 10, 'not every READONLY reply makes the client reconnect')
  await redis.client.replicaof('NO', 'ONE')
  await healed(service)
  t.equal(claimsOf((await service.refresh(refreshToken)).json().refreshToken).gen, 2)
})

t.test('while Redis is out of memory refreshes answer 500 and log-outs work', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis)
  const { refreshToken } = await service.open()
  const other = await service.open({ deviceId: 'laptop' })
  await redis.configure('maxmemory', '1')
  await assertDown(t, service, refreshToken)
  t.equal((await service.call('GET', '/internal/users/1/sessions')).statusCode, 200)
  t.equal((await service.call('DELETE', `/internal/users/1/sessions/${claimsOf(other.refreshToken).sid}`)).statusCode, 204)
  t.equal((await service.call('DELETE', '/internal/users/2/sessions')).statusCode, 204)
  await redis.configure('maxmemory', '0')
  await healed(service)
  t.equal(claimsOf((await service.refresh(refreshToken)).json().refreshToken).gen, 2)
  t.equal((await service.refresh(other.refreshToken, 'laptop')).statusCode, 400)
})

t.test('the first command has a deadline, even when Redis could not write at the start', async t => {
  const redis = await startRedis(t, ['--maxmemory', '1'])
  const service = await build(t, redis, { REFRESH_RETRY_WINDOW: '0' })
  t.match(service.log.filter(({ msg }) => msg === 'Redis would not run a refresh now'), [{ level: 40 }, { level: 40 }])
  await redis.configure('maxmemory', '0')
  const { refreshToken } = await service.open()
  redis.freeze()
  t.equal((await service.refresh(refreshToken)).statusCode, 500)
  redis.thaw()
  await healed(service)
  t.equal((await service.refresh(refreshToken)).statusCode, 200)
})

t.test('a refresh repeats the successor when Redis\'s reply to the rotation was lost', oneConnection, async t => {
  const redis = await startRedis(t)
  const path = new URL(redis.url).pathname
  let deaf = false
  // A proxy that can drop Redis's replies.
  const proxy = createServer(client => {
    const server = connect(path)
    server.on('data', data => { if (!deaf) client.write(data) })
    client.on('data', data => server.write(data))
    for (const [socket, other] of [[client, server], [server, client]] as const) {
      socket.on('error', () => {}).on('close', () => other.destroy())
    }
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => { proxy.close() })
  const service = await build(t, { url: `redis://127.0.0.1:${(proxy.address() as AddressInfo).port}` })
  const { refreshToken } = await service.open()
  deaf = true
  t.equal((await service.refresh(refreshToken)).body, internalError)
  deaf = false
  await healed(service)
  const response = await service.refresh(refreshToken)
  t.equal(response.statusCode, 200)
  t.equal(claimsOf(response.json().refreshToken).gen, 2)
})

t.test('a refresh answers 500 while Redis lacks min-replicas-to-write', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis)
  const { refreshToken } = await service.open()
  await redis.configure('min-replicas-to-write', '9')
  await assertDown(t, service, refreshToken)
  await redis.configure('min-replicas-to-write', '0')
  t.equal((await service.refresh(refreshToken)).statusCode, 200)
})

t.test('refreshes succeed across SCRIPT FLUSH, under load too', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis)
  for (let round = 0; round < 10; round++) {
    const { refreshToken } = await service.open()
    const copies = Array.from({ length: 16 }, async () => await service.refresh(refreshToken))
    await Promise.all((await redis.masters()).map(async ({ client }) => await client.script('FLUSH')))
    t.same(new Set((await Promise.all(copies)).map(({ statusCode }) => statusCode)), new Set([200]))
  }
})

t.test('a refresh is one round trip; a forged token causes none', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis)
  let { refreshToken: token } = await service.open()
  const refresh = async (): Promise<void> => { token = (await service.refresh(token)).json().refreshToken }
  await refresh()
  // A command is sent again if the machine stalls or its clock is set, which may happen in one of three rounds.
  const calls = [await callsOf(refresh), await callsOf(refresh), await callsOf(refresh)]
  t.equal(Math.min(...calls), 10, 'ten refreshes are ten calls')
  t.equal(await callsOf(async () => {
    const forged = token.replace(/.$/, last => last === 'A' ? 'Q' : 'A')
    t.equal((await service.refresh(forged)).statusCode, 400)
  }), 0)

  /** The number of script calls that all masters receive while `send` is called ten times. */
  async function callsOf (send: () => Promise<void>): Promise<number> {
    const before = await received()
    for (let i = 0; i < 10; i++) await send()
    return await received() - before
  }

  async function received (): Promise<number> {
    const stats = await Promise.all((await redis.masters()).map(async ({ client }) => await client.info('commandstats')))
    return [...stats.join().matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)].reduce((sum, [, calls]) => sum + Number(calls), 0)
  }
})

t.test('after a restore from an older backup, the newest token rotates to the next generation', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis)
  const { refreshToken } = await service.open()
  const second = (await service.refresh(refreshToken)).json().refreshToken
  const restore = await redis.copy()
  const third = (await service.refresh(second)).json().refreshToken
  const fourth = (await service.refresh(third)).json().refreshToken

  await redis.kill()
  await restore()
  await redis.start()
  await healed(service)

  const recovered = await service.refresh(fourth)
  t.equal(recovered.statusCode, 200)
  t.equal(claimsOf(recovered.json().refreshToken).gen, 5)
  t.equal((await service.refresh(fourth)).json().refreshToken, recovered.json().refreshToken, 'the retry window repeats a lost answer')
  t.equal((await service.refresh(third)).statusCode, 400, 'an older token is reuse')
})
