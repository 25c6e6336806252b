import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { SpanStatusCode } from '@opentelemetry/api'
import t, { type Test } from 'tap'
import { claimsOf, environment, guest, postRefresh, postSession, spawnService, startRedis, type PrivateRedis, type TokensBody } from '../support/helper.ts'

/** The spans that `examples/tracing.mjs` writes when it is preloaded into the real service. */

interface Span {
  span: string
  kind: string
  traceId: string
  spanId: string
  parentSpanId?: string
  status: { code: SpanStatusCode, message?: string }
  events: unknown[]
  attributes: Record<string, unknown>
}

interface Traced {
  publicUrl: string
  internalUrl: string
  /** Ends the service with SIGTERM; resolves with its log and all its spans. */
  end (): Promise<{ lines: Array<Record<string, unknown>>, spans: Span[], text: string }>
}

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

async function startTraced (t: Test, overrides: Record<string, string>, at = redis): Promise<Traced> {
  const { child, lines, errors, line, exited } = spawnService(t, {
    ...environment(at.url, overrides), NODE_OPTIONS: '--import ./examples/tracing.mjs'
  })
  const ready = JSON.parse(await line('refresh-token-service is ready'))
  return {
    publicUrl: ready.public,
    internalUrl: ready.internal,
    end: async () => {
      child.kill('SIGTERM')
      t.same(await exited, [0, null])
      return { lines: lines.map(line => JSON.parse(line)), spans: errors.map(line => JSON.parse(line)), text: errors.join('\n') }
    }
  }
}

/** A new trace with the span of a caller. */
function caller (): { traceId: string, parentSpanId: string, traceparent: string } {
  const [traceId, parentSpanId] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')]
  return { traceId, parentSpanId, traceparent: `00-${traceId}-${parentSpanId}-01` }
}

const refreshBody = (refreshToken: string): string => JSON.stringify({ deviceId: guest.deviceId, refreshToken })

async function post (url: string, body: string, traceparent: string): Promise<Response> {
  return await fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/json', traceparent }, body })
}

/** Asserts the two spans of a refresh: the request below its caller, and one Redis command below the request. */
function isRefresh (t: Test, spans: Span[], { traceId, parentSpanId }: { traceId: string, parentSpanId: string }): void {
  const trace = spans.filter(span => span.traceId === traceId)
  t.equal(trace.length, 2)
  const server = trace.find(({ kind }) => kind === 'SERVER')!
  t.match(server, {
    span: 'POST /api/ps/refresh',
    parentSpanId,
    attributes: { 'http.request.method': 'POST', 'http.route': '/api/ps/refresh', 'http.response.status_code': 200 }
  })
  t.match(trace.find(({ kind }) => kind === 'CLIENT'), { span: 'evalsha', parentSpanId: server.spanId, attributes: { 'db.system.name': 'redis' } })
}

t.test('a refresh writes one span for the request and one for Redis, in the caller\'s trace; its log line names the trace', async t => {
  const service = await startTraced(t, { TRUST_PROXY: 'on' })
  const { refreshToken } = await postSession(service.internalUrl)
  const from = caller()
  const response = await post(`${service.publicUrl}/api/ps/refresh`, refreshBody(refreshToken), from.traceparent)
  t.equal(response.status, 200)
  t.equal(response.headers.get('traceparent'), from.traceparent)

  const { lines, spans } = await service.end()
  isRefresh(t, spans, from)
  const { traceId, parentSpanId } = from
  const reqId = response.headers.get('x-request-id')
  t.match(lines.filter(line => line.reqId === reqId), [{ traceId, parentSpanId, outcome: 'rotated' }])
})

/** The head and body of a refresh, for requests that fetch can't send. */
function refreshRequest (refreshToken: string, headers: string): [head: string, body: string] {
  const body = refreshBody(refreshToken)
  return [`POST /api/ps/refresh HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n${headers}\r\nContent-Length: ${body.length}\r\n\r\n`, body]
}

/** Resolves when the service has sent a text a number of times. */
async function answers (socket: Socket, text: string, times = 1): Promise<void> {
  let received = ''
  while (received.split(text).length <= times) received += String((await once(socket, 'data'))[0])
}

t.test('refreshes of one turn of the event loop share a call, whose span is below the first request; each has its own request span', async t => {
  const service = await startTraced(t, { TRUST_PROXY: 'on' })
  const callers = await Promise.all(Array.from({ length: 10 }, async (_, n) =>
    ({ ...caller(), ...await postSession(service.internalUrl, { userId: n + 1 }) })))
  const { hostname, port } = new URL(service.publicUrl)
  const socket = connect(Number(port), hostname)
  // One write makes them arrive in one turn of the event loop.
  socket.write(callers.flatMap(({ traceparent, refreshToken }) => refreshRequest(refreshToken, `traceparent: ${traceparent}`)).join(''))
  await answers(socket, 'HTTP/1.1 200 OK', callers.length)
  socket.destroy()

  const { spans } = await service.end()
  const [first, ...others] = callers as [typeof callers[number], ...typeof callers]
  isRefresh(t, spans, first)
  for (const { traceId, parentSpanId } of others) {
    t.match(spans.filter(span => span.traceId === traceId), [{ kind: 'SERVER', parentSpanId, attributes: { 'http.response.status_code': 200 } }])
  }
})

t.test('a request whose body comes later keeps its trace', async t => {
  const service = await startTraced(t, { TRUST_PROXY: 'on' })
  const { refreshToken } = await postSession(service.internalUrl)
  const from = caller()
  const [head, body] = refreshRequest(refreshToken, `Expect: 100-continue\r\ntraceparent: ${from.traceparent}`)
  const { hostname, port } = new URL(service.publicUrl)
  const socket = connect(Number(port), hostname)
  socket.write(head)
  await answers(socket, 'HTTP/1.1 100 Continue')
  socket.write(body)
  await answers(socket, 'HTTP/1.1 200 OK')
  socket.destroy()
  isRefresh(t, (await service.end()).spans, from)
})

t.test('after SCRIPT FLUSH a refresh has two spans of Redis commands', async t => {
  const own = await startRedis(t)
  const service = await startTraced(t, { TRUST_PROXY: 'on' }, own)
  const first = await postSession(service.internalUrl)
  const second = await (await postRefresh(service.publicUrl, first.refreshToken)).json() as TokensBody
  await own.client.script('FLUSH')
  const { traceId, traceparent } = caller()
  t.equal((await post(`${service.publicUrl}/api/ps/refresh`, refreshBody(second.refreshToken), traceparent)).status, 200)
  const trace = (await service.end()).spans.filter(span => span.traceId === traceId)
  const server = trace.find(({ kind }) => kind === 'SERVER')!
  t.match(server, { status: { code: SpanStatusCode.UNSET } })
  t.match(trace.filter(({ kind }) => kind === 'CLIENT'), [
    { parentSpanId: server.spanId, status: { code: SpanStatusCode.ERROR } },
    { parentSpanId: server.spanId, status: { code: SpanStatusCode.UNSET } }
  ])
})

t.test('spans contain no secrets and no personal data, and a refused request is not marked as an error', async t => {
  const own = await startRedis(t)
  const service = await startTraced(t, { TRUST_PROXY: 'on' }, own)
  const refresh = `${service.publicUrl}/api/ps/refresh`
  const first = await postSession(service.internalUrl, { userId: 8_675_309, email: 'jenny@example.org' })
  const second = await (await postRefresh(service.publicUrl, first.refreshToken)).json() as TokensBody
  const { sid } = claimsOf(second.refreshToken)
  const requests: Array<[status: number, request: (traceparent: string) => Promise<Response>]> = [
    [200, async traceparent => await post(`${refresh}?token=${second.refreshToken}`, refreshBody(second.refreshToken), traceparent)],
    [400, async traceparent => await post(refresh, `{"refreshToken": ${second.refreshToken}`, traceparent)],
    [400, async traceparent => await post(refresh, refreshBody(`${second.refreshToken}x`), traceparent)],
    [404, async traceparent => await post(`${service.publicUrl}/${second.refreshToken}`, '{}', traceparent)],
    [401, async traceparent => await fetch(`${service.internalUrl}/internal/users/8675309/sessions/${sid}`, { method: 'DELETE', headers: { traceparent } })]
  ]
  const sent: Array<{ status: number, traceId: string }> = []
  const send = async ([status, request]: typeof requests[0]): Promise<void> => {
    const { traceId, traceparent } = caller()
    t.equal((await request(traceparent)).status, status)
    sent.push({ status, traceId })
  }
  for (const request of requests) await send(request)
  await fetch(`${service.internalUrl}/readyz`)
  await own.kill()
  await send([500, async traceparent => await post(refresh, refreshBody(second.refreshToken), traceparent)])

  const { spans, text } = await service.end()
  for (const { status, traceId } of sent) {
    t.match(spans.find(span => span.traceId === traceId && span.kind === 'SERVER'), {
      status: { code: status === 500 ? SpanStatusCode.ERROR : SpanStatusCode.UNSET },
      attributes: { 'http.response.status_code': status }
    })
  }
  t.same([...new Set(spans.flatMap(span => Object.keys(span.attributes)))].sort(), [
    'db.operation.name', 'db.system.name', 'http.request.method', 'http.response.status_code', 'http.route', 'server.address', 'server.port'
  ])
  for (const { status, events } of spans) t.same([Object.keys(status), events], [['code'], []])
  for (const word of ['8675309', 'jenny', sid, 'readyz', ...second.refreshToken.split('.')]) t.notOk(text.includes(word), word)
})

t.test('the traceparent of an untrusted client is ignored', async t => {
  const service = await startTraced(t, {})
  const { refreshToken } = await postSession(service.internalUrl)
  const { traceId, traceparent } = caller()
  t.equal((await post(`${service.publicUrl}/api/ps/refresh`, refreshBody(refreshToken), traceparent)).status, 200)
  const { spans, lines } = await service.end()
  t.equal(spans.filter(({ span }) => span === 'POST /api/ps/refresh').length, 1)
  t.notOk(JSON.stringify([spans, lines]).includes(traceId))
})
