import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { InjectOptions, LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { createRequestIds } from '#src/http/request-ids'
import { build, claimsOf, guest, startRedis, type PrivateRedis, type Service } from '../support/helper.ts'

/** Ids of requests and traces are in every answer and log line; only trusted callers may choose them. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

const OWN = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** New random ids and their headers. */
function ids (): { id: string, traceId: string, parentSpanId: string, headers: Record<string, string> } {
  const [id, traceId, parentSpanId] = [16, 16, 8].map(bytes => randomBytes(bytes).toString('hex')) as [string, string, string]
  return { id, traceId, parentSpanId, headers: { 'x-request-id': id, traceparent: `00-${traceId}-${parentSpanId}-01` } }
}

const refused: InjectOptions = { method: 'POST', url: '/api/ps/refresh', payload: { deviceId: guest.deviceId, refreshToken: 'none of ours' } }

/** Sends a request that is refused, from an address; returns the answer and its log line. */
async function ask (app: Service, headers: Record<string, string>, remoteAddress = '127.0.0.1'): Promise<[LightMyRequestResponse, Record<string, unknown>]> {
  const before = app.log.length
  const response = await app.public.inject({ ...refused, headers, remoteAddress })
  const lines = app.log.slice(before).filter(({ reqId }) => reqId !== undefined)
  if (lines.length !== 1) throw new Error(`${lines.length} lines`)
  return [response, lines[0]!]
}

function isOurs (t: Test, [response, line]: [LightMyRequestResponse, Record<string, unknown>], name: string): void {
  t.match(response.headers['x-request-id'], OWN, name)
  t.equal(line.reqId, response.headers['x-request-id'], `${name}: in the log line`)
  t.notOk('traceparent' in response.headers || 'traceId' in line || 'parentSpanId' in line, `${name}: no trace`)
}

t.test('without ids in the request, answer and log line have the same new id', async t => {
  const service = await build(t, redis)
  const first = await ask(service, {})
  const second = await ask(service, {})
  isOurs(t, first, 'first')
  isOurs(t, second, 'second')
  t.not(first[1].reqId, second[1].reqId)
})

t.test('ignores the ids of an untrusted client', async t => {
  isOurs(t, await ask(await build(t, redis), ids().headers), 'off')
  const service = await build(t, redis, { TRUST_PROXY: '10.1.2.3, 10.9.0.0/16' })
  isOurs(t, await ask(service, ids().headers, '10.1.2.4'), 'another address')
  isOurs(t, await ask(service, { ...ids().headers, 'x-forwarded-for': '10.1.2.3' }, '10.1.2.4'), 'a client that claims the proxy\'s address')
})

t.test('uses the ids of a trusted proxy', async t => {
  const trusting: Array<[string, string]> = [
    ['on', '192.0.2.7'], ['10.1.2.3', '10.1.2.3'], ['10.1.2.3', '::ffff:10.1.2.3'], ['10.1.2.3, 10.9.0.0/16', '10.9.8.7'], ['fd00::/8', 'fd00::1']
  ]
  for (const [TRUST_PROXY, address] of trusting) {
    const { id, traceId, parentSpanId, headers } = ids()
    const [response, line] = await ask(await build(t, redis, { TRUST_PROXY }), headers, address)
    t.match(response.headers, headers, address)
    t.match(line, { reqId: id, traceId, parentSpanId, reason: 'forged' }, address)
  }
})

t.test('uses either id without the other, and ignores invalid ones', async t => {
  const service = await build(t, redis, { TRUST_PROXY: 'on' })
  const { id, traceId, headers } = ids()
  const { traceparent } = headers as { traceparent: string }
  const [named, namedLine] = await ask(service, { 'x-request-id': id })
  t.equal(named.headers['x-request-id'], id)
  t.notOk('traceparent' in named.headers || 'traceId' in namedLine)
  const [traced, tracedLine] = await ask(service, { traceparent })
  t.match(traced.headers, { 'x-request-id': OWN, traceparent })
  t.match(tracedLine, { reqId: traced.headers['x-request-id'], traceId })

  for (const wrong of ['', ' ', 'a b', 'a,b', 'a"b', 'ä', 'a/b', 'x'.repeat(129)]) {
    isOurs(t, await ask(service, { 'x-request-id': wrong, traceparent: `${traceparent}0` }), JSON.stringify(wrong))
  }
  for (const right of ['x', 'x'.repeat(128), 'A-z_0.9']) t.equal((await ask(service, { 'x-request-id': right }))[1].reqId, right)
})

t.test('answers and log lines of every status have the ids', async t => {
  const frozen = await startRedis(t)
  const service = await build(t, frozen, { TRUST_PROXY: 'on' })
  const { refreshToken } = await service.open()
  const refresh: InjectOptions = { method: 'POST', url: '/api/ps/refresh', payload: { deviceId: guest.deviceId, refreshToken } }
  const lost: InjectOptions = { method: 'GET', url: '/nothing' }
  const check = async (status: number, request: InjectOptions, lines: number): Promise<void> => {
    const { id, traceId, parentSpanId, headers } = ids()
    const before = service.log.length
    const response = await service.public.inject({ ...request, headers })
    t.equal(response.statusCode, status)
    t.match(response.headers, headers, `${status} ${request.url}`)
    const logged = service.log.slice(before).filter(line => line.reqId === id)
    t.equal(logged.length, lines, `${status} ${request.url}: lines`)
    for (const line of logged) t.match(line, { traceId, parentSpanId })
  }
  await check(200, refresh, 1)
  await check(400, { ...refresh, payload: {} }, 1)
  await check(400, { method: 'GET', url: '/%' }, 1)
  await check(404, lost, 0)
  frozen.freeze()
  t.teardown(frozen.thaw)
  await check(500, refresh, 1)
})

t.test('the internal listener trusts all ids', async t => {
  const service = await build(t, redis)
  const { id, traceId, headers } = ids()
  const { refreshToken } = await service.open()
  const { id: user, sid } = claimsOf(refreshToken)
  const response = await service.internal.inject({ method: 'DELETE', url: `/internal/users/${user}/sessions/${sid}`, headers })
  t.equal(response.statusCode, 401)
  t.match(response.headers, headers)
  t.match(service.log.find(line => line.reqId === id), { traceId })
})

t.test('generated ids are random: no counter, no common prefix', t => {
  const idOf = createRequestIds(() => false)
  const ids = Array.from({ length: 1000 }, () => idOf({ headers: {}, socket: {} } as IncomingMessage))
  t.equal(new Set(ids).size, ids.length)
  for (const length of [4, 8]) {
    // By chance, two of 1000 neighbours share 16 bits once in 65 runs; with a prefix or a counter all neighbours would.
    const alike = (end: (id: string) => string): number => ids.filter((id, i) => i > 0 && end(id) === end(ids[i - 1]!)).length
    t.ok(alike(id => id.slice(0, length)) < 10, 'no prefix')
    t.ok(alike(id => id.slice(-length)) < 10, 'no suffix')
  }
  const rising = ids.filter((id, i) => i > 0 && id > ids[i - 1]!).length
  t.ok(rising > 350 && rising < 650, 'no order')
  t.end()
})

t.test('removes an untrusted traceparent from the request', async t => {
  const idOf = createRequestIds(address => address === '10.1.2.3')
  const request = (remoteAddress: string): IncomingMessage =>
    ({ headers: ids().headers as object, socket: { remoteAddress } }) as IncomingMessage
  const [trusted, other] = [request('10.1.2.3'), request('10.1.2.4')]
  t.equal(idOf(trusted), trusted.headers['x-request-id'])
  t.ok(trusted.headers.traceparent)
  t.match(idOf(other), OWN)
  t.notOk('traceparent' in other.headers)
})
