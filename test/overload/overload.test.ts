import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { build, claimsOf, environment, guest, postRefresh, postSession, startRedis, startService, until, type Service, type TokensBody } from '../support/helper.ts'

/** Under overload, refused requests get the documented answer soon, and no session is lost. */

const internalError = '{"code":500,"message":"Internal Error"}'

async function healed (service: Service): Promise<void> {
  await until('the replica is ready again', async () => (await service.internal.inject('/readyz')).statusCode === 200)
}

/** Waits for a warning about refused requests, and returns all of them. */
async function warnings (service: Service): Promise<Array<Record<string, unknown>>> {
  const find = (): Service['log'] => service.log.filter(({ msg }) => msg === 'requests were turned away')
  await until('a warning has the number of requests turned away', () => find().length > 0)
  return find()
}

t.test('2000 simultaneous refreshes on a frozen Redis get 500, and all sessions survive', async t => {
  const redis = await startRedis(t)
  // Without a retry window, a late rotation would end the session.
  const service = await startService(t, environment(redis.url, { REFRESH_RETRY_WINDOW: '0', LOG_LEVEL: 'info', MAX_REFRESHES_IN_FLIGHT: '100', MAX_CONNECTIONS_PER_ADDRESS: '0' }))
  const sessions: TokensBody[] = []
  for (let from = 1; from <= 1000; from += 50) {
    const opening = Array.from({ length: 50 }, async (_, i) => {
      let session = await postSession(service.internalUrl, { userId: from + i })
      // A busy machine may cause a 500.
      while (session.refreshToken === undefined) session = await postSession(service.internalUrl, { userId: from + i })
      return session
    })
    sessions.push(...await Promise.all(opening))
  }
  redis.freeze()
  const answers = await Promise.all([...sessions, ...sessions].map(async ({ refreshToken }) => {
    const response = await postRefresh(service.publicUrl, refreshToken)
    const { status, headers } = response
    return { status, body: await response.text(), cache: headers.get('cache-control'), retry: headers.get('retry-after') }
  }))
  t.same(new Set(answers.map(({ status }) => status)), new Set([500]))
  t.same(new Set(answers.map(({ body }) => body)), new Set([internalError]))
  t.same(new Set(answers.map(({ cache }) => cache)), new Set(['no-store']))
  t.ok(answers.some(({ retry }) => retry === '1'), 'some were shed, with Retry-After')
  t.equal((await fetch(`${service.internalUrl}/healthz`)).status, 200)
  redis.thaw()
  await until('the replica is ready again', async () => (await fetch(`${service.internalUrl}/readyz`)).status === 200)

  for (let from = 0; from < sessions.length; from += 40) {
    const alive = await Promise.all(sessions.slice(from, from + 40).map(async ({ refreshToken }) => {
      let response = await postRefresh(service.publicUrl, refreshToken)
      // A busy machine may cause another 500. It rotates nothing: without a retry window, the next attempt would be reuse.
      while (response.status === 500) response = await postRefresh(service.publicUrl, refreshToken)
      return response.status === 200 && claimsOf((await response.json() as TokensBody).refreshToken).gen === 2
    }))
    t.notOk(alive.includes(false), `sessions from ${from} rotate from generation 1`)
  }
  const lines = service.lines.filter(line => line.includes('requests were turned away'))
  t.ok(lines.length > 0 && lines.length < 60, 'few lines with the number of refused requests')
})

t.test('refreshes above MAX_REFRESHES_IN_FLIGHT are refused at once, before their body is read', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis, { MAX_REFRESHES_IN_FLIGHT: '2' })
  const { refreshToken } = await service.open()
  redis.freeze()
  const together = await Promise.all([1, 2, 3].map(async () => await service.refresh(refreshToken)))
  t.same(together.map(({ statusCode }) => statusCode), [500, 500, 500])
  t.same(together.map(({ headers }) => headers['retry-after']).sort(), ['1', undefined, undefined], 'two of them waited')
  redis.thaw()
  await healed(service)

  redis.freeze()
  const waiting = [service.refresh(refreshToken), service.refresh(refreshToken)]
  await until('two refreshes wait for Redis', () => service.public.concurrencyLimit.refusal() !== undefined)
  const refused = await service.public.inject({ method: 'POST', url: '/api/ps/refresh', payload: 'nonsense', headers: { 'content-type': 'application/json' } })
  t.equal(refused.body, internalError, 'the body was not read')
  t.match(refused.headers, { 'retry-after': '1', 'cache-control': 'no-store' })
  t.equal((await service.internal.inject('/healthz')).statusCode, 200)
  t.same((await Promise.all(waiting)).map(({ statusCode }) => statusCode), [500, 500])
  redis.thaw()
  await healed(service)
  t.equal((await service.refresh(refreshToken)).statusCode, 200, 'there is room again')

  t.match(await warnings(service), [{ level: 40, surface: 'public', turnedAway: { in_flight: Number } }])
  t.notOk(service.log.some(({ msg, err }) => msg === 'request failed' && /turned away/.test(JSON.stringify(err))), 'no line for each request')
})

t.test('refreshes that fail because of Redis are logged once a second with their number', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis)
  const { refreshToken } = await service.open()
  redis.freeze()
  const answers = await Promise.all(Array.from({ length: 20 }, async () => await service.refresh(refreshToken)))
  t.ok(answers.every(({ statusCode }) => statusCode === 500))
  await Promise.all([1, 2, 3].map(async userId => await service.call('GET', `/internal/users/${userId}/sessions`)))
  redis.thaw()
  await service.public.close()
  const counted = (await warnings(service)).map(({ turnedAway }) => (turnedAway as { redis: number }).redis)
  t.equal(counted.reduce((sum, count) => sum + count), 20)
  const lines = service.log.filter(({ msg, surface }) => msg === 'request failed' && surface === 'public')
  t.equal(lines.length, counted.length, `${counted.length} seconds`)
  t.equal(service.log.filter(({ msg, surface }) => msg === 'request failed' && surface === 'internal').length, 3, 'every failure on the internal listener has its own line')
  t.match(lines[0], { level: 50, err: { code: 'RTS_STORE_UNAVAILABLE' } })
})

t.test('a request with an incomplete body does not count as a refresh in flight', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis, { MAX_REFRESHES_IN_FLIGHT: '1' })
  const port = Number(new URL(await service.public.listen({ host: '127.0.0.1', port: 0 })).port)
  for (let i = 0; i < 5; i++) {
    const socket = connect(port, '127.0.0.1')
    t.teardown(() => { socket.destroy() })
    socket.write('POST /api/ps/refresh HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{')
    await once(service.public.server, 'request')
  }
  const { refreshToken } = await service.open()
  t.equal((await service.refresh(refreshToken)).statusCode, 200)
})

t.test('while the event loop lags, up to 10 % of MAX_REFRESHES_IN_FLIGHT are admitted', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis, { MAX_REFRESHES_IN_FLIGHT: '10' })
  const { refreshToken } = await service.open()
  const lag = async (): Promise<void> => {
    do {
      const end = performance.now() + 300
      while (performance.now() < end);
      await delay(1)
    } while (!service.public.isUnderPressure())
  }
  await lag()
  t.equal((await service.refresh(refreshToken)).statusCode, 200, 'a lag without refreshes in flight refuses no refresh')

  service.public.concurrencyLimit.acquire()
  await lag()
  const refused = await service.refresh(refreshToken)
  service.public.concurrencyLimit.release()
  t.match(refused, { statusCode: 500, body: internalError, headers: { 'retry-after': '1' } })
  t.equal((await service.refresh(refreshToken)).statusCode, 200)
  t.match(await warnings(service), [{ turnedAway: { event_loop: 1 } }])
})

t.test('connections over the limit are closed at once, and counted', async t => {
  const service = await build(t, await startRedis(t))
  t.equal(service.public.server.maxConnections, 10_000)
  service.public.server.maxConnections = 1
  const port = Number(new URL(await service.public.listen({ host: '127.0.0.1', port: 0 })).port)
  const first = connect(port, '127.0.0.1')
  t.teardown(() => { first.destroy() })
  await once(service.public.server, 'connection')
  const second = connect(port, '127.0.0.1').on('error', () => {}).resume()
  await once(second, 'close')
  first.destroy()
  await service.public.close()
  t.match(await warnings(service), [{ turnedAway: { connections: 1 } }], 'closing logs the remaining count')
})

t.test('closes idle and slow connections, and serves others meanwhile', async t => {
  const service = await build(t, await startRedis(t))
  const port = Number(new URL(await service.public.listen({ host: '127.0.0.1', port: 0 })).port)
  const { requestTimeout, headersTimeout, keepAliveTimeout } = service.public.server
  t.same({ requestTimeout, headersTimeout, keepAliveTimeout }, { requestTimeout: 10_000, headersTimeout: 10_000, keepAliveTimeout: 72_000 })
  service.public.server.headersTimeout = 500
  const dawdlers = Array.from({ length: 200 }, async (_, i) => {
    const socket = connect(port, '127.0.0.1').setEncoding('utf8')
    if (i % 2 === 1) socket.write('POST /api/ps/refresh HTTP/1.1\r\nHost: a\r\n')
    let answer = ''
    for await (const chunk of socket) answer += chunk
    return answer
  })
  const { refreshToken } = await service.open()
  t.equal((await postRefresh(`http://127.0.0.1:${port}`, refreshToken, guest.deviceId)).status, 200)
  for (const [i, answer] of (await Promise.all(dawdlers)).entries()) {
    if (i % 2 === 0 ? answer !== '' : !answer.endsWith(`\r\n\r\n${internalError}`)) t.fail(`${i}: ${answer}`)
  }
})
