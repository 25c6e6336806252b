import { once, type EventEmitter } from 'node:events'
import { readFile } from 'node:fs/promises'
import { METHODS } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { FastifyError, FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { Aborted, TurnedAway } from '#src/errors'
import { createHealth } from '#src/health'
import { refreshOutcomes } from '#src/metrics/definitions'
import { createMetrics } from '#src/metrics/metrics'
import { refusedOutcome } from '#src/metrics/outcomes'
import { createRedisClock } from '#src/sessions/servers'
import { scriptResults } from '#src/sessions/runner'
import { createSessionStore } from '#src/sessions/store'
import { apiKey, build, claimsOf, guest, startRedis, until, type PrivateRedis, type Service, type TokensBody } from '../support/helper.ts'
import { parseMetrics, scrape, type Scrape } from '../support/metrics-text.ts'

/** The metrics of real services; they identify no user. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

const REFRESHES = 'rts_refresh_requests_total'
const ENDED = 'rts_sessions_ended_total'

/** The increases of a metric with one label between two scrapes, by label value. */
function rises (before: Scrape, after: Scrape, name: string): Record<string, number> {
  return Object.fromEntries([...after.samples].filter(([key]) => key.startsWith(`${name}{`))
    .map(([key, value]) => [/="(.*)"/.exec(key)![1]!, value - (before.samples.get(key) ?? 0)] as const)
    .filter(([, rise]) => rise !== 0))
}

/** Asserts that exactly the expected counts rise during `act`. */
async function assertRises (
  t: Test, service: Service, name: string, expected: Record<string, number>, act: () => Promise<unknown>, message: string
): Promise<void> {
  const before = await scrape(service.internal)
  await act()
  t.same(rises(before, await scrape(service.internal), name), expected, message)
}

/** Like Node's `once`, but does not reject on an `error` event while connecting. */
async function event (emitter: EventEmitter, name: string): Promise<void> {
  await new Promise<void>(resolve => emitter.once(name, () => resolve()))
}

/** Changes a stored session: `s:<sid>` is gen:createdAt:rotatedAt:expiresAt:device. */
async function edit (service: Service, { id, refreshToken }: TokensBody, field: 0 | 3, value: number): Promise<void> {
  const key = `${service.config.REDIS_PREFIX}${id}`
  const name = `s:${claimsOf(refreshToken).sid}`
  const fields = (await redis.client.hget(key, name))!.split(':')
  fields[field] = String(value)
  await redis.client.hset(key, name, fields.join(':'))
}

const expire = async (service: Service, session: TokensBody): Promise<void> => await edit(service, session, 3, 1)

t.test('counts each refresh once, by outcome', async t => {
  const service = await build(t, redis)
  const zeros = [...(await scrape(service.internal)).samples].filter(([key]) => key.startsWith(REFRESHES))
  t.equal(zeros.length, 17, 'every outcome exists before the first refresh')
  t.ok(zeros.every(([, value]) => value === 0))

  const session = await service.open()
  const counts = async (outcome: string, act: () => Promise<unknown>): Promise<void> =>
    await assertRises(t, service, REFRESHES, { [outcome]: 1 }, act, outcome)
  let newest = session.refreshToken
  await counts('rotated', async () => { newest = (await service.refresh(newest)).json().refreshToken })
  await counts('retried', async () => await service.refresh(session.refreshToken))
  await edit(service, session, 0, 1)
  await counts('recovered', async () => { newest = (await service.refresh(newest)).json().refreshToken })
  await counts('malformed', async () => await service.refresh(''))
  await counts('malformed', async () => await service.public.inject({ method: 'POST', url: '/api/ps/refresh/', payload: 'x' }))
  await counts('forged', async () => await service.refresh('x.y.z'))
  await counts('device_mismatch', async () => await service.refresh(newest, 'another'))
  await counts('reused', async () => await service.refresh(session.refreshToken))
  await counts('unknown', async () => await service.refresh(newest))
  const old = await service.open()
  await expire(service, old)
  await counts('expired', async () => await service.refresh(old.refreshToken))

  await assertRises(t, service, REFRESHES, {}, async () => {
    await service.call('POST', '/internal/sessions', {})
    await service.internal.inject({ method: 'POST', url: '/internal/introspect', payload: '{' })
    await service.public.inject('/.well-known/jwks.json')
    await service.public.inject({ method: 'GET', url: '/api/ps/refresh' })
  }, 'other requests are not counted as refreshes')
})

t.test('counts unparsable requests as malformed, on the public listener only', async t => {
  const service = await build(t, redis)
  await Promise.all([service.public, service.internal].map(async app => await app.listen({ port: 0 })))
  const send = async (app: FastifyInstance, bytes: string): Promise<void> => {
    const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1').resume()
    socket.write(bytes)
    await once(socket, 'close')
  }
  const head = 'POST /api/ps/refresh HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n'
  const broken = {
    'no HTTP': 'nonsense\r\n\r\n',
    'a URL that is none': 'GET /%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    'headers that contradict each other': `${head}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`
  }
  for (const [what, bytes] of Object.entries(broken)) {
    await assertRises(t, service, REFRESHES, { malformed: 1 }, async () => await send(service.public, bytes), what)
    await assertRises(t, service, REFRESHES, {}, async () => await send(service.internal, bytes), `${what}, on the internal listener`)
  }

  await assertRises(t, service, REFRESHES, { malformed: 1 }, async () => {
    await send(service.public, `${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n`)
    await until('its route refuses it', () => service.log.some(({ msg, reason }) => msg === 'request refused' && reason === 'ECONNRESET'))
  }, 'an invalid chunked body is counted once, by its route')
  await assertRises(t, service, REFRESHES, { aborted: 1 }, async () => {
    const socket = connect((service.public.server.address() as AddressInfo).port, '127.0.0.1').resume()
    socket.write(`${head}Content-Length: 100\r\n\r\n{`)
    await once(service.public.server, 'request')
    socket.resetAndDestroy()
    await until('its route refuses it', () => service.log.some(({ msg, reason }) => msg === 'request refused' && reason === 'RTS_ABORTED'))
  }, 'a client that disconnects within its body')

  const { refreshToken } = await service.open()
  const body = JSON.stringify({ deviceId: guest.deviceId, refreshToken })
  await assertRises(t, service, REFRESHES, { rotated: 1, malformed: 1 },
    async () => await send(service.public, `${head}Content-Length: ${body.length}\r\n\r\n${body}nonsense`), 'invalid bytes after a complete request')
})

t.test('rate-limited, shed, failed, malformed and aborted refreshes have different outcomes', async t => {
  const error = (code: string): FastifyError => Object.assign(new Error(), { code, name: '' })
  t.equal(refusedOutcome(new TurnedAway('session'), 429), 'limited')
  t.equal(refusedOutcome(new TurnedAway('in_flight'), 500), 'overloaded')
  t.equal(refusedOutcome(error('RTS_STORE_UNAVAILABLE'), 500), 'unavailable')
  t.equal(refusedOutcome(error('FST_ERR_VALIDATION'), 400), 'malformed')
  t.equal(refusedOutcome(new Aborted(), 400), 'aborted')
})

t.test('counts opened sessions, and ended sessions by reason', async t => {
  const service = await build(t, redis, { MAX_SESSIONS_PER_USER: '3', REFRESH_RETRY_WINDOW: '0' })
  const opened = async (): Promise<number> => (await scrape(service.internal)).samples.get('rts_sessions_opened_total')!
  const ends = async (expected: Record<string, number>, act: () => Promise<unknown>, message: string): Promise<void> =>
    await assertRises(t, service, ENDED, expected, act, message)
  const endOne = async ({ refreshToken }: TokensBody): Promise<unknown> =>
    await service.call('DELETE', `/internal/users/1/sessions/${claimsOf(refreshToken).sid}`)

  t.equal(await opened(), 0)
  await ends({}, async () => await service.open(), 'the first')
  await ends({ replaced: 1 }, async () => await service.open(), 'the same device')
  await ends({}, async () => await Promise.all([service.open({ deviceId: 'b' }), service.open({ deviceId: 'c' })]), 'up to the cap')
  await ends({ evicted: 1 }, async () => await service.open({ deviceId: 'd' }), 'over the cap')
  const last = await service.open({ deviceId: 'd' })
  await ends({ logout: 1 }, async () => await endOne(last), 'one logs out')
  await ends({}, async () => await endOne(last), 'once')
  await ends({ logout: 2 }, async () => await service.call('DELETE', '/internal/users/1/sessions'), 'all log out')
  await ends({}, async () => await service.call('DELETE', '/internal/users/1/sessions'), 'nobody is left')
  t.equal(await opened(), 6)

  const reused = await service.open()
  await service.refresh(reused.refreshToken)
  await ends({ reuse: 1 }, async () => await service.refresh(reused.refreshToken), 'a used token')
  await ends({}, async () => await service.call('POST', '/internal/sessions', {}), 'a refused request opens no session')
  t.equal(await opened(), 7)
})

t.test('every script counts the expired sessions that it removes', async t => {
  const service = await build(t, redis, { REFRESH_RETRY_WINDOW: '0' })
  const calls: Record<string, [Record<string, number>, (alive: TokensBody) => Promise<unknown>]> = {
    open: [{ expired: 1 }, async () => await service.open({ deviceId: 'new' })],
    list: [{ expired: 1 }, async () => await service.call('GET', '/internal/users/1/sessions')],
    'update-profile': [{ expired: 1 }, async () => await service.call('PATCH', '/internal/users/1', { role: 'USER' })],
    revoke: [{ expired: 1, logout: 1 }, async alive => await service.call('DELETE', `/internal/users/1/sessions/${claimsOf(alive.refreshToken).sid}`)],
    'revoke-all': [{ expired: 1, logout: 1 }, async () => await service.call('DELETE', '/internal/users/1/sessions')],
    'revoke-all but one': [{ expired: 1 }, async alive =>
      await service.call('DELETE', `/internal/users/1/sessions?except=${claimsOf(alive.refreshToken).sid}`)],
    erase: [{ expired: 1, logout: 1 }, async () => await service.call('DELETE', '/internal/users/1?erase')],
    read: [{ expired: 1 }, async () => await service.call('GET', '/internal/users/1')],
    'revoke by the client': [{ expired: 1, logout: 1 }, async alive => await service.logOut(alive.refreshToken, 'alive')],
    'revoke by a thief': [{}, async alive => await service.logOut(alive.refreshToken, 'another')],
    rotate: [{ expired: 1, reuse: 1 }, async alive => {
      await service.refresh(alive.refreshToken, 'alive')
      await service.refresh(alive.refreshToken, 'alive')
    }],
    'rotate of the expired one': [{ expired: 2 }, async alive => {
      await expire(service, alive)
      await service.refresh(alive.refreshToken, 'alive')
    }],
    'revoke of the expired one': [{ expired: 2 }, async alive => {
      await expire(service, alive)
      await service.call('DELETE', `/internal/users/1/sessions/${claimsOf(alive.refreshToken).sid}`)
    }],
    'rotate that goes on, of a record that an operator made permanent': [{ expired: 1 }, async alive => {
      await redis.client.persist(`${service.config.REDIS_PREFIX}1`)
      await service.refresh(alive.refreshToken, 'alive')
    }],
    'rotate that goes on, under a lowered lifetime': [{ expired: 1 }, async alive => {
      await edit(service, alive, 3, 9_999_999_999)
      await service.refresh(alive.refreshToken, 'alive')
    }],
    find: [{}, async alive => await service.public.store.find(1, claimsOf(alive.refreshToken).sid)]
  }
  for (const [name, [expected, act]] of Object.entries(calls)) {
    await service.call('DELETE', '/internal/users/1/sessions')
    const dead = await service.open({ deviceId: 'dead' })
    const alive = await service.open({ deviceId: 'alive' })
    await expire(service, dead)
    await assertRises(t, service, ENDED, expected, async () => await act(alive), name)
  }
})

t.test('replicas together count each session once', async t => {
  const a = await build(t, redis)
  const { REDIS_PREFIX, ACCESS_TOKEN_SECRETS, REFRESH_TOKEN_SECRETS } = a.config
  const b = await build(t, redis, { REDIS_PREFIX, ACCESS_TOKEN_SECRETS, REFRESH_TOKEN_SECRETS })
  const { refreshToken } = await a.open()
  await Promise.all([a, b, a, b].map(async service => await service.call('DELETE', `/internal/users/1/sessions/${claimsOf(refreshToken).sid}`)))
  await Promise.all([a, b, a, b].map(async service => await service.call('DELETE', '/internal/users/1/sessions')))
  const scrapes = [await scrape(a.internal), await scrape(b.internal)]
  const sum = (key: string): number => scrapes.reduce((sum, { samples }) => sum + samples.get(key)!, 0)
  t.equal(sum(`${ENDED}{reason="logout"}`), 1)
  t.equal(sum('rts_sessions_opened_total'), 1)
})

t.test('counts script calls by result, and reports the state of the connection to Redis', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis)
  const { refreshToken } = await service.open()
  const sample = async (key: string): Promise<number | undefined> => (await scrape(service.internal)).samples.get(key)
  const calls = async (result: string): Promise<number | undefined> =>
    await sample(`rts_redis_script_duration_seconds_count{script="rotate",result="${result}"}`)
  const connected = 'rts_redis_connected{surface="public"}'
  t.equal(await sample(connected), 1)
  t.equal(await sample('rts_redis_connected{surface="internal"}'), 1)
  t.equal(await sample('rts_ready'), 1)

  await service.refresh(refreshToken)
  t.equal(await calls('ok'), 1)
  t.equal(await sample('rts_redis_script_duration_seconds_bucket{script="rotate",result="ok",le="+Inf"}'), 1)
  t.equal(await calls('timeout'), undefined)

  await assertRises(t, service, REFRESHES, { unavailable: 1 }, async () => {
    redis.freeze()
    await service.refresh(refreshToken)
    redis.thaw()
  }, 'a frozen Redis')
  // The timeouts of the connection and of the call expire within a millisecond of each other, in either order.
  t.equal((await calls('timeout') ?? 0) + (await calls('error') ?? 0), 1)
  while (await sample('rts_ready') !== 1) await delay(10)

  const closed = [service.public, service.internal].map(async ({ redis }) => await event(redis, 'close'))
  await redis.kill()
  await Promise.all(closed)
  t.equal(await sample(connected), 0)
  t.equal(await sample('rts_ready'), 0)
  const errors = await calls('error') ?? 0
  await assertRises(t, service, REFRESHES, { unavailable: 1 }, async () => await service.refresh(refreshToken), 'no Redis')
  t.equal(await calls('error'), errors + 1)
  const before = await scrape(service.internal)
  const again = [service.public, service.internal].map(async ({ redis }) => await event(redis, 'ready'))
  await redis.start()
  await Promise.all(again)
  t.same(rises(before, await scrape(service.internal), 'rts_redis_reconnects_total'), { public: 1, internal: 1 })
  t.equal(await sample(connected), 1)
  service.health.draining = true
  t.equal(await sample('rts_ready'), 0, 'a process that closes is not ready')
})

t.test('a call is observed once, with its final result', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis)
  const { generation } = await service.public.store.open(guest)
  const seen: unknown[] = []
  const options = {
    prefix: service.config.REDIS_PREFIX,
    idleTtl: 100,
    absoluteTtl: 100,
    retryWindow: 30,
    maxSessionsPerUser: 5,
    observe: ({ script }: { script: string }, seconds: number, result: string, reply?: unknown[]) => {
      seen.push([script, seconds > 0 && seconds < 5, result, (reply?.[2] as unknown[] | undefined)?.[0]])
    }
  }
  const behind = createRedisClock()
  behind.observe(Date.now() - 3_600_000)
  await createSessionStore(redis.client, options, () => behind).rotate(generation, guest.deviceId)
  t.same(seen.splice(0), [['rotate', true, 'ok', 'rotated']], 'a late call and its retry count as one call')
  const stopped = createSessionStore(redis.client, options, () => ({ observe: () => {}, reset: () => {}, deadline: () => 1 }))
  await t.rejects(stopped.rotate(generation, guest.deviceId))
  t.same(seen.splice(0), [['rotate', true, 'late', undefined]])
  const silent = createSessionStore(redis.client, { ...options, prefix: 'silent' }, () => ({
    observe: () => {}, reset: () => {}, deadline: () => { redis.freeze(); return Date.now() + 60_000 }
  }))
  await t.rejects(silent.rotate(generation, guest.deviceId))
  redis.thaw()
  t.same(seen.splice(0), [['rotate', true, 'timeout', undefined]])
})

t.test('refreshes that share a call count one each, with its duration', async t => {
  const { registry, observeScript } = createMetrics(createHealth())
  const command = { script: 'rotate' as const, keys: ['a', 'b', 'c'], channel: '', argv: [], users: [1, 2, 3], caller: 'client' }
  observeScript(command, 0.5, 'ok', ['decided', 1, ['unknown'], ['unknown'], ['unknown']])
  const { samples } = parseMetrics(await registry.metrics())
  const labels = '{script="rotate",result="ok"}'
  t.equal(samples.get(`rts_redis_script_duration_seconds_count${labels}`), 3)
  t.equal(samples.get(`rts_redis_script_duration_seconds_sum${labels}`), 1.5)
})

t.test('counts requests by route and status; random URLs and methods add no series', async t => {
  const service = await build(t, redis)
  const { refreshToken } = await service.open()
  await service.refresh(refreshToken)
  await service.public.inject({ method: 'POST', url: '/api/ps/refresh/?x=1', payload: { deviceId: guest.deviceId, refreshToken } })
  const { samples } = await scrape(service.internal)
  t.equal(samples.get('rts_http_request_duration_seconds_count{surface="public",method="POST",route="/api/ps/refresh",status="200"}'), 2)
  t.equal(samples.get('rts_http_request_duration_seconds_count{surface="internal",method="POST",route="/internal/sessions",status="201"}'), 1)
  const sum = samples.get('rts_http_request_duration_seconds_sum{surface="public",method="POST",route="/api/ps/refresh",status="200"}')!
  t.ok(sum > 0 && sum < 60, 'in seconds')

  const authorization = `Bearer ${apiKey}`
  const hammer = async (round: number): Promise<void> => {
    for (const [i, method] of METHODS.entries()) {
      for (const app of [service.public, service.internal]) {
        for (const url of ['/api/ps/refresh', `/${round}/${i}`, `/internal/users/${round + 1}/sessions/${i}`, `/internal/users/${i}`,
          `/internal/verify/${round}/${i}`, `/docs/static/${i}.${round}`, `/healthz?x=${i}`, '/internal/introspect', `/%zz${round}`]) {
          await app.inject({ method: method as 'GET', url, headers: { authorization, 'x-internal-api-key': apiKey } })
        }
      }
    }
  }
  await hammer(1)
  const first = await scrape(service.internal)
  await hammer(2)
  const second = await scrape(service.internal)
  // The first garbage collection of each kind adds a series.
  t.same([...second.samples.keys()].filter(key => !first.samples.has(key) && !/^nodejs_gc_duration_seconds.*kind="(minor|major|incremental|weakcb)"/.test(key)), [], 'no new series')
  const series = [...second.samples.keys()].filter(key => key.startsWith('rts_http_request_duration_seconds_count'))
  t.ok(series.length < 60, `${series.length} of requests`)
  t.ok(series.some(key => key.includes('method="any",route="/internal/verify/*"')))
  const unmatched = rises(first, second, 'rts_http_unmatched_requests_total')
  t.ok(unmatched.public! > METHODS.length && unmatched.internal! > 0)
})

t.test('metrics contain no secrets and no personal data', async t => {
  const service = await build(t, redis)
  const person = { userId: 8_765_432_109, email: 'someone@metrics.example', role: 'SOME_ROLE', deviceId: 'a device of theirs', label: 'Their phone' }
  const { token, refreshToken } = await service.open(person)
  const { sid } = claimsOf(refreshToken)
  await service.refresh(refreshToken, person.deviceId)
  await service.refresh(refreshToken, 'another')
  await service.refresh(`${refreshToken}x`, person.deviceId)
  await service.call('GET', `/internal/users/${person.userId}/sessions`)
  await service.call('DELETE', `/internal/users/${person.userId}/sessions/${sid}`)
  await service.call('PATCH', `/internal/users/${person.userId}`, { role: 'ANOTHER_ROLE' })
  await service.internal.inject({ url: `/internal/verify/of/${sid}`, headers: { 'x-internal-api-key': apiKey, authorization: `Bearer ${token}` } })
  const { text } = await scrape(service.internal)
  const secrets = [service.config.REFRESH_TOKEN_SECRETS, service.config.ACCESS_TOKEN_SECRETS, apiKey]
  for (const value of [...Object.values(person), 'ANOTHER_ROLE', token, refreshToken, sid, '127.0.0.1', redis.folder, ...secrets]) {
    t.notOk(text.includes(String(value)), String(value))
  }
})

t.test('a scrape needs no API key and has the version of the build', async t => {
  const service = await build(t, redis)
  await service.refresh((await service.open()).refreshToken)
  const response = await service.internal.inject('/metrics')
  t.equal(response.statusCode, 200)
  t.equal(response.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
  t.equal((await service.public.inject('/metrics')).statusCode, 404, 'never on the public listener')

  const { samples } = parseMetrics(response.body)
  const { version } = JSON.parse(await readFile('package.json', 'utf8'))
  t.equal(samples.get(`rts_build_info{version="${version}",node_version="${process.version}"}`), 1)
  const active = samples.get('rts_event_loop_active_seconds_total')!
  t.ok(active > 0 && active < process.uptime(), 'in seconds')
  t.ok(samples.has('nodejs_eventloop_lag_p99_seconds'))
  t.notMatch(response.body, /nodejs_active/, 'no metric whose cost grows with the number of connections')
})

t.test('each set of metrics counts separately', async t => {
  const [a, b] = [createMetrics(createHealth()), createMetrics(createHealth())]
  a.refreshes.rotated++
  t.match(await a.registry.metrics(), 'rts_refresh_requests_total{outcome="rotated"} 1')
  t.match(await b.registry.metrics(), 'rts_refresh_requests_total{outcome="rotated"} 0')
})

t.test('docs/metrics.md lists exactly the metrics with their types and labels, the outcomes and the results', async t => {
  const service = await build(t, redis)
  await service.refresh((await service.open()).refreshToken)
  setFlagsFromString('--expose-gc')
  await until('a garbage collection is counted', async () => {
    runInNewContext('gc')()
    return (await scrape(service.internal)).labels.get('nodejs_gc_duration_seconds_count')?.has('kind') === true
  })
  const { types, labels } = await scrape(service.internal)
  const docs = await readFile('docs/metrics.md', 'utf8')
  const documented = [...docs.matchAll(/^\| `(\w+)` \| (counter|gauge|histogram) \| (.*?) \| (.*) \|$/gm)]
    .filter(([, , , , meaning]) => process.platform === 'linux' || !meaning!.endsWith('Linux only'))
    .map(([, name, type, labels]) => `${name} ${type} ${[...labels!.matchAll(/`(\w+)`/g)].map(([, label]) => label).sort().join()}`)
  const live = [...types].map(([name, type]) => {
    const found = [...labels.get(type === 'histogram' ? `${name}_count` : name) ?? []]
    return `${name} ${type} ${found.sort().join()}`
  })
  t.same(documented.sort(), live.sort())
  const outcomes = [...docs.matchAll(/^\| `(\w+)` \| \d{3}[^|]*\|/gm)].map(([, outcome]) => outcome!)
  t.same(outcomes.sort(), [...refreshOutcomes].sort())
  const results = /^\| `rts_redis_script_duration_seconds`.*`result`: (.*)$/m.exec(docs)![1]!
  t.same([...results.matchAll(/(?:^|; )`(\w+)`/g)].map(([, result]) => result!).sort(), [...scriptResults].sort())
})
