import { readFile } from 'node:fs/promises'
import t from 'tap'
import { parse } from 'yaml'
import { createAudit } from '#src/audit/audit'
import { createLogger } from '#src/log/log'
import { endReasons } from '#src/sessions/replies'
import { apiKey, build, claimsOf, guest, secret, startRedis, until, type PrivateRedis, type Service } from '../support/helper.ts'

/** The audit trail: who opened and ended which session, and which tokens were refused. */

type Line = Record<string, unknown>

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

const trail = ({ log }: Pick<Service, 'log'>): Line[] => log.filter(line => line.log === 'audit')

/** The lines of the trail since the last call, without the fields that every log line has. */
function take (service: Pick<Service, 'log'>): Line[] {
  const lines = trail(service).map(({ level, time, surface, log, msg, ...line }) => line)
  service.log.length = 0
  return lines
}

/** Sends a request with the key of a caller. */
async function callAs (service: Service, key: string, method: 'GET' | 'POST' | 'PATCH' | 'DELETE', url: string, payload?: object) {
  return await service.internal.inject({ method, url, headers: { authorization: `Bearer ${key}` }, ...payload === undefined ? {} : { payload } })
}

t.test('each session opened and ended has one line, with the caller and the reason', async t => {
  const [login, support] = [secret(), secret()]
  const service = await build(t, redis, {
    INTERNAL_API_KEYS: `login:open+profile:${login},support:read+revoke:${support}`, MAX_SESSIONS_PER_USER: '2', REFRESH_RETRY_WINDOW: '0'
  })
  const open = async (deviceId: string, key = login): Promise<{ sid: string, refreshToken: string }> => {
    const { refreshToken } = (await callAs(service, key, 'POST', '/internal/sessions', { ...guest, deviceId })).json()
    return { sid: claimsOf(refreshToken).sid, refreshToken }
  }
  const opened = (sid: string, caller = 'login'): Line => ({ audit: 'session.opened', userId: 1, sid, caller })
  const ended = (sid: string, caller: string, reason: string): Line => ({ audit: 'session.ended', userId: 1, sid, caller, reason })
  const expire = async (sid: string): Promise<void> => {
    await redis.client.hset(`${service.config.REDIS_PREFIX}1`, `s:${sid}`, `000001:1:1:2:${'d'.repeat(16)}`)
  }

  take(service)
  const first = await open('a')
  t.same(take(service), [opened(first.sid)])
  const a = await open('a', apiKey)
  t.same(take(service), [ended(first.sid, 'default', 'replaced'), opened(a.sid, 'default')])
  const b = await open('b')
  const c = await open('c')
  t.same(take(service), [opened(b.sid), ended(a.sid, 'login', 'evicted'), opened(c.sid)])

  await callAs(service, support, 'DELETE', `/internal/users/1/sessions/${b.sid}`)
  await callAs(service, support, 'DELETE', `/internal/users/1/sessions/${b.sid}`)
  t.same(take(service), [ended(b.sid, 'support', 'logout')], 'once')
  const d = await open('d')
  take(service)
  await callAs(service, support, 'DELETE', '/internal/users/1/sessions')
  t.same(new Set(take(service).map(line => JSON.stringify(line))), new Set([c, d].map(({ sid }) => JSON.stringify(ended(sid, 'support', 'logout')))))
  await callAs(service, support, 'DELETE', '/internal/users/1/sessions')
  t.same(take(service), [])

  const own = await open('own')
  take(service)
  await service.public.inject({ method: 'POST', url: '/api/ps/logout', payload: { deviceId: 'own', refreshToken: own.refreshToken } })
  t.same(take(service), [ended(own.sid, 'client', 'logout')])
  const erased = await open('erased')
  take(service)
  await callAs(service, support, 'DELETE', '/internal/users/1?erase')
  t.same(take(service), [ended(erased.sid, 'support', 'logout')])

  const reused = await open('e')
  await service.refresh(reused.refreshToken, 'e')
  take(service)
  const { headers } = await service.refresh(reused.refreshToken, 'e')
  t.same(take(service), [
    ended(reused.sid, 'client', 'reuse'),
    { audit: 'token.refused', userId: 1, sid: reused.sid, caller: 'client', reason: 'reused', count: 1, reqId: headers['x-request-id'] }
  ])

  for (const [caller, act] of [
    ['support', async () => await callAs(service, support, 'GET', '/internal/users/1/sessions')],
    ['login', async () => await callAs(service, login, 'PATCH', '/internal/users/1', { role: 'USER' })],
    ['login', async () => await open('x')]
  ] as const) {
    const { sid } = await open('old')
    await open('alive')
    await expire(sid)
    take(service)
    await act()
    t.same(take(service)[0], ended(sid, caller, 'expired'), caller)
  }
})

t.test('a successful refresh has no line above debug', async t => {
  const service = await build(t, redis, { LOG_LEVEL: 'info' })
  const { refreshToken } = await service.open()
  service.log.length = 0
  for (let i = 0; i < 2; i++) t.equal((await service.refresh(refreshToken)).statusCode, 200)
  t.same(service.log, [])
})

t.test('of several replicas, the one whose script ended a session logs it', async t => {
  const shared = { REDIS_PREFIX: 'rt:two:', REFRESH_TOKEN_SECRETS: secret(), ACCESS_TOKEN_SECRETS: secret() }
  const services = await Promise.all([build(t, redis, shared), build(t, redis, shared)])
  const { refreshToken } = await services[0]!.open()
  const { sid } = claimsOf(refreshToken)
  for (const service of services) take(service)
  await Promise.all(services.map(async service => await service.call('DELETE', `/internal/users/1/sessions/${sid}`)))
  t.same(services.flatMap(take), [{ audit: 'session.ended', userId: 1, sid, caller: 'default', reason: 'logout' }])
})

t.test('a change on too few replicas is made, so it is logged, and its confirmation is not', async t => {
  const service = await build(t, redis, { REDIS_WAIT_REPLICAS: '1', REFRESH_RETRY_WINDOW: '0' })
  take(service)
  t.equal((await service.call('POST', '/internal/sessions', guest)).statusCode, 500)
  const [opened, ...rest] = take(service)
  t.match(opened, { audit: 'session.opened', userId: 1, caller: 'default' })
  t.same(rest, [])
  const sid = opened!.sid as string
  const { iat, exp } = await generationOf(service, sid)
  const token = service.public.tokens.signRefresh({ id: 1, sid, gen: 1, iat, exp })
  t.equal((await service.refresh(token)).statusCode, 200)
  t.equal((await service.refresh(token)).statusCode, 500, 'too few replicas have the end')
  t.same(take(service).map(({ audit, reason }) => [audit, reason]), [['session.ended', 'reuse'], ['token.refused', 'reused']])
})

async function generationOf (service: Service, sid: string): Promise<{ iat: number, exp: number }> {
  const [, iat, , exp] = (await redis.client.hget(`${service.config.REDIS_PREFIX}1`, `s:${sid}`))!.split(':').map(Number)
  return { iat: iat!, exp: exp! }
}

t.test('refusals of one session have at most one line a second, with their number', async t => {
  const service = await build(t, redis, { LOG_LEVEL: 'info' })
  const { refreshToken } = await service.open()
  const other = await service.open({ userId: 2 })
  const { sid } = claimsOf(refreshToken)
  service.log.length = 0
  const REFUSALS = 30
  await service.refresh(other.refreshToken, 'another')
  for (let i = 0; i < REFUSALS - 1; i++) await service.refresh(refreshToken, 'another')
  await service.call('DELETE', `/internal/users/1/sessions/${sid}`)
  await service.refresh(refreshToken)

  const lines = (): Line[] => trail(service).filter(({ audit, userId }) => audit === 'token.refused' && userId === 1)
  const sum = (): number => lines().reduce((sum, { count }) => sum + Number(count), 0)
  await until('every refusal is in a line', () => sum() === REFUSALS)
  t.match(lines()[0], { sid, caller: 'client', reason: 'device_mismatch', count: 1 }, 'the first at once')
  t.match(lines().at(-1), { sid, reason: 'unknown' }, 'the reason of the last')
  const times = lines().map(({ time }) => Number(time))
  // Timers and the clock round to milliseconds.
  t.ok(times.every((time, i) => i === 0 || time - times[i - 1]! >= 990), `${times.join()}`)
  // The second of the other session began earlier, so it has ended by now.
  await service.refresh(other.refreshToken, 'another')
  t.match(trail(service).filter(({ userId }) => userId === 2), [{ count: 1 }, { count: 1 }], 'another session has its own lines, at once after a second')
})

t.test('holds back the refusals of a bounded number of sessions, and logs the rest at the end', t => {
  const service = capture()
  const audit = createAudit(createLogger('info', service.stream), 2)
  const refuse = (sid: string, reason: string): void => { audit.refused({ userId: 1, sid, reason, reqId: 'r' }) }
  for (const sid of ['a', 'b', 'a', 'a']) refuse(sid, 'unknown')
  const lines = (): unknown[] => take(service).map(({ sid, reason, count }) => [sid, reason, count])
  t.same(lines(), [['a', 'unknown', 1], ['b', 'unknown', 1]])
  refuse('c', 'expired')
  t.same(lines(), [['a', 'unknown', 2], ['c', 'expired', 1]], 'the oldest is logged early')
  refuse('d', 'unknown')
  t.same(lines(), [['d', 'unknown', 1]], 'b had nothing to log')
  refuse('c', 'expired')
  refuse('c', 'unknown')
  audit.flush()
  t.same(lines(), [['c', 'unknown', 2]])
  audit.flush()
  t.same(lines(), [])
  t.end()
})

t.test('closing a listener logs what is held back', async t => {
  const service = await build(t, redis)
  const { refreshToken } = await service.open()
  take(service)
  for (let i = 0; i < 3; i++) await service.refresh(refreshToken, 'another')
  await service.public.close()
  t.equal(take(service).reduce((sum, { count }) => sum + Number(count), 0), 3)
})

t.test('docs/audit.md has every event, field and reason, and its collector finds exactly the trail', async t => {
  const service = await build(t, redis, { REFRESH_RETRY_WINDOW: '0' })
  const { refreshToken } = await service.open()
  await service.refresh(refreshToken)
  await service.refresh(refreshToken)
  const page = await readFile('docs/audit.md', 'utf8')
  const { transforms } = parse(/```yaml\n([^]*?)```/.exec(page)![1]!) as { transforms: { audit: { condition: string } } }
  const [, field, value] = /^\.(\w+) == "(\w+)"$/.exec(transforms.audit.condition)!
  const collected = service.log.filter(line => line[field!] === value)
  t.same(collected, service.log.filter(line => 'audit' in line))
  t.same(new Set(collected.map(({ audit }) => audit)), new Set(['session.opened', 'session.ended', 'token.refused']))
  const examples = page.match(/^\{.*\}$/gm)!.map(line => JSON.parse(line) as Line)
  for (const { audit } of collected) {
    const [example, line] = [examples, collected].map(lines => lines.find(line => line.audit === audit)!)
    t.same(Object.keys(line!), Object.keys(example!), String(audit))
  }
  for (const reason of [...endReasons, 'unknown', 'device_mismatch', 'client_mismatch', 'key_mismatch', 'invalid_proof', 'reused']) t.ok(page.includes(`\`${reason}\``), reason)
})

/** A stream that keeps the lines of a log. */
function capture (): Pick<Service, 'log'> & { stream: { write (line: string): void } } {
  const log: Line[] = []
  return { log, stream: { write (line) { log.push(JSON.parse(line)) } } }
}
