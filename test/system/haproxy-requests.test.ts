import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer, request, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { haproxyEnvironment, startHaproxy, type Balancer } from '../support/haproxy.ts'
import { freePort } from '../support/ports.ts'
import { apiKey, build, postRefresh, startRedis, until, type TokensBody } from '../support/helper.ts'

/** How HAProxy with deploy/haproxy.cfg handles single requests. */

const badRequest = '{"code":400,"message":"Bad Request"}'
const notFound = '{"code":404,"message":"Not Found"}'
const internalError = '{"code":500,"message":"Internal Error"}'

/** A request that reached a replica. */
interface Arrival {
  replica: number
  method: string
  url: string
  headers: IncomingHttpHeaders
  body: string
}

type Behaviour = (response: ServerResponse, arrival: Arrival) => unknown

const answers = (status: number, body: string): Behaviour => response => response.writeHead(status, { 'content-type': 'application/json' }).end(body)

/** Starts HAProxy in front of three fake replicas, which report ready and answer other requests by `behaviours`. */
async function startFakes (t: Test, ...behaviours: Behaviour[]): Promise<{ haproxy: Balancer, arrivals: Arrival[] }> {
  const arrivals: Arrival[] = []
  const addresses = await Promise.all([0, 1, 2].map(async replica => {
    const server = createServer(async (message, response) => {
      if (message.url === '/readyz') {
        response.end()
        return
      }
      const { method = '', url = '', headers } = message
      const arrival = { replica, method, url, headers, body: await text(message) }
      arrivals.push(arrival)
      behaviours[replica % behaviours.length]!(response, arrival)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => {
      server.close()
      server.closeAllConnections()
    })
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
    return { public: address, internal: address }
  }))
  return { haproxy: await startHaproxy(t, addresses), arrivals }
}

async function post (haproxy: Balancer, body = '{}', headers: Record<string, string> = {}): Promise<Response> {
  return await fetch(`${haproxy.publicUrl}/api/ps/refresh`, { method: 'POST', body, headers })
}

/** Sends bytes to HAProxy, and returns the answer once HAProxy closes the connection. */
async function raw (haproxy: Balancer, bytes: string): Promise<string> {
  const socket = connect(Number(new URL(haproxy.publicUrl).port), '127.0.0.1').setEncoding('latin1')
  socket.write(bytes, 'latin1')
  return await text(socket)
}

async function assertAnswer (t: Test, response: Response, status: number, body: string, message: string): Promise<void> {
  t.same([response.status, await response.text()], [status, body], message)
  t.match(response.headers.get('content-type'), /^application\/json/)
  t.equal(response.headers.get('cache-control'), 'no-store')
}

t.test('HAProxy accepts the file without a warning', async t => {
  const replicas = [1, 2, 3].map(i => ({ public: `127.0.0.1:${i}`, internal: `127.0.0.1:${i}` }))
  const env = { PATH: process.env.PATH, ...haproxyEnvironment(replicas) }
  const printed = execFileSync('sh', ['-c', 'haproxy -c -f deploy/haproxy.cfg 2>&1'], { env, encoding: 'utf8' })
  t.notMatch(printed.replace(/.*has no nameservers configured!/, ''), /warning|alert/i)
})

t.test('only the public paths reach the replicas', async t => {
  const { haproxy, arrivals } = await startFakes(t, answers(200, '{}'))
  for (const path of ['/', '/healthz', '/readyz', '/metrics', '/docs', '/internal/sessions', '/api/ps', '/API/ps/refresh', '/.well-known/jwks.json/x', '//api/ps/refresh']) {
    await assertAnswer(t, await fetch(haproxy.publicUrl + path, { method: 'POST' }), 404, notFound, path)
  }
  t.same(arrivals, [])
  const passed = ['/api/ps/refresh', '/oauth/token', '/.well-known/jwks.json', '/.well-known/oauth-authorization-server']
  for (const path of passed) t.equal((await fetch(haproxy.publicUrl + path)).status, 200)
  t.same(arrivals.map(({ url }) => url), passed)
})

t.test('HAProxy sets the client\'s address and the request id, whatever the client sends', async t => {
  const { haproxy, arrivals } = await startFakes(t, answers(200, '{}'))
  const forged = { 'X-Forwarded-For': '203.0.113.7', 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'evil.example', Forwarded: 'for=203.0.113.7', 'X-Request-Id': 'forged' }
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const ids = []
  for (let i = 0; i < 2; i++) ids.push((await post(haproxy, '{}', { ...forged, traceparent })).headers.get('x-request-id'))
  for (const [i, { headers }] of arrivals.entries()) {
    t.match(headers, { 'x-forwarded-for': /^127\.0\.0\.1$/, 'x-forwarded-proto': /^http$/, traceparent })
    t.notMatch(headers, { 'x-forwarded-host': String })
    t.notMatch(headers, { forwarded: String })
    t.match(headers['x-request-id'], /^[0-9a-f]{8}-[0-9a-f-]{27}$/)
    t.equal(headers['x-request-id'], ids[i], 'the client gets the same id')
  }
  t.not(ids[0], ids[1])
})

t.test('no request is smuggled in the body of another', async t => {
  const { haproxy, arrivals } = await startFakes(t, answers(200, '{}'))
  const inner = 'GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n'
  const chunked = `0\r\n\r\n${inner}`
  const length = (body: string): string => `Content-Length: ${body.length}\r\n`
  const framings: Record<string, string> = {
    'a length and chunks': `${length(chunked)}Transfer-Encoding: chunked\r\n\r\n${chunked}`,
    'chunks and a length': `Transfer-Encoding: chunked\r\n${length(chunked)}\r\n${chunked}`,
    'two lengths': `${length('')}${length(inner)}\r\n${inner}`,
    'an unknown coding': `${length(chunked)}Transfer-Encoding: xchunked\r\n\r\n${chunked}`,
    'a blank before the colon': `${length(chunked)}Transfer-Encoding : chunked\r\n\r\n${chunked}`,
    'a tab after the coding': `${length(chunked)}Transfer-Encoding: chunked\t\r\n\r\n${chunked}`,
    'a folded line': `${length(chunked)}Transfer-Encoding:\r\n chunked\r\n\r\n${chunked}`,
    'a bare line feed': `${length(chunked)}X: y\nTransfer-Encoding: chunked\r\n\r\n${chunked}`
  }
  for (const [what, framing] of Object.entries(framings)) {
    arrivals.length = 0
    const answer = await raw(haproxy, `POST /api/ps/refresh HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${framing}`)
    t.match(answer, /^HTTP\/1\.1 [24]00 /, what)
    t.same(arrivals.filter(({ url }) => url !== '/api/ps/refresh'), [], what)
  }
})

t.test('a request that fails on one replica is repeated on another', async t => {
  const failures: Record<string, Behaviour> = {
    'closes without an answer': response => response.socket!.destroy(),
    resets: response => response.socket!.resetAndDestroy(),
    'dies within its headers': response => response.socket!.end('HTTP/1.1 200 OK\r\nContent-Le'),
    'answers no HTTP': response => response.socket!.end('garbage\r\n\r\n'),
    'answers 500': answers(500, internalError),
    'is frozen': () => {}
  }
  for (const [name, failure] of Object.entries(failures)) {
    const { haproxy, arrivals } = await startFakes(t, failure, answers(200, '{}'), answers(200, '{}'))
    for (let i = 0; i < 3; i++) {
      const response = await post(haproxy, `{"i":${i}}`)
      t.equal(response.status, 200, name)
      await response.text()
    }
    t.same(arrivals.filter(({ replica }) => replica > 0).map(({ body }) => body), ['{"i":0}', '{"i":1}', '{"i":2}'], 'the other replicas get each request whole and once')
    t.ok(arrivals.some(({ replica }) => replica === 0))
  }
})

t.test('a request whose body arrives late is repeated too', async t => {
  const { haproxy, arrivals } = await startFakes(t, response => response.socket!.destroy(), answers(200, '{}'), answers(200, '{}'))
  const headers = { 'content-length': 2 }
  for (let i = 0; i < 3; i++) {
    const sent = request(`${haproxy.publicUrl}/api/ps/refresh`, { method: 'POST', headers, agent: false })
    sent.flushHeaders()
    // HAProxy has read the headers once it has answered a request that was sent after them.
    await fetch(`${haproxy.publicUrl}/`)
    sent.end('{}')
    const [response] = await once(sent, 'response')
    t.equal(response.statusCode, 200)
    response.resume()
  }
  t.ok(arrivals.some(({ replica }) => replica === 0))
})

t.test('the client gets a 500 after three attempts if every replica answers 500', async t => {
  const { haproxy, arrivals } = await startFakes(t, answers(500, internalError))
  const response = await fetch(`${haproxy.publicUrl}/api/ps/refresh?refreshToken=x`, { method: 'POST' })
  t.same([response.status, arrivals.length], [500, 3])
  t.equal(new Set(arrivals.slice(0, 2).map(({ replica }) => replica)).size, 2)
  const line = JSON.parse(await haproxy.line('"requestId"'))
  t.match(line, { client: '127.0.0.1', method: 'POST', path: /^\/api\/ps\/refresh$/, status: 500, retries: '+2' })
  t.equal(line.requestId, response.headers.get('x-request-id'))
})

t.test('the client gets our 500 if no replica answers', async t => {
  const { haproxy, arrivals } = await startFakes(t, response => response.socket!.destroy())
  await assertAnswer(t, await post(haproxy, '{}', { connection: 'close' }), 500, internalError, 'every replica closes')
  t.equal(arrivals.length, 3)

  const nowhere = { public: `127.0.0.1:${await freePort()}`, internal: `127.0.0.1:${await freePort()}` }
  const alone = await startHaproxy(t, [nowhere, nowhere, nowhere])
  for (const name of ['replica-1', 'replica-2', 'replica-3']) await alone.until(`replicas/${name}`, 'status', status => status.startsWith('DOWN'))
  await assertAnswer(t, await post(alone), 500, internalError, 'every replica is down')
  const internal = await fetch(`${alone.internalUrl}/internal/sessions`, { method: 'POST' })
  await assertAnswer(t, internal, 500, internalError, 'the internal API: every replica is down')
})

t.test('invalid HTTP gets a 400', async t => {
  const { haproxy, arrivals } = await startFakes(t, answers(200, '{}'))
  for (const bytes of ['garbage\r\n\r\n', 'POST /api/ps/refresh HTTP/1.1\r\nno header\r\n\r\n', `GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`]) {
    const answer = await raw(haproxy, bytes)
    t.match(answer, /^HTTP\/1\.1 400 /)
    // Some versions of HAProxy answer with their own text.
    t.ok(answer.endsWith(badRequest) || answer.includes('Your browser sent an invalid request.'), answer)
  }
  t.same(arrivals, [])
})

t.test('the real service refreshes after Redis was down, and with a body larger than HAProxy\'s buffer', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis)
  const address = {
    public: new URL(await service.public.listen({ port: 0, host: '127.0.0.1' })).host,
    internal: new URL(await service.internal.listen({ port: 0, host: '127.0.0.1' })).host
  }
  const haproxy = await startHaproxy(t, [address, address, address])
  const { refreshToken, ...session } = await service.open()

  await redis.kill()
  await assertAnswer(t, await postRefresh(haproxy.publicUrl, refreshToken), 500, internalError, 'Redis is down')
  await haproxy.until('replicas/replica-1', 'status', status => status.startsWith('DOWN'))
  await assertAnswer(t, await postRefresh(haproxy.publicUrl, refreshToken), 500, internalError, 'Redis is down, and HAProxy has marked every replica as down')
  await redis.start()
  for (const name of ['replica-1', 'replica-2', 'replica-3']) await haproxy.until(`replicas/${name}`, 'status', status => status.startsWith('UP'))
  const answer = await postRefresh(haproxy.publicUrl, refreshToken)
  t.equal(answer.status, 200, 'the same token')
  let token = (await answer.json() as TokensBody).refreshToken

  // Larger than HAProxy's buffer, then larger than the service's limit.
  for (const [size, status] of [[20_000, 200], [40_000, 400]] as const) {
    const body = JSON.stringify({ deviceId: 'Unique key', refreshToken: token, padding: 'x'.repeat(size) })
    const response = await post(haproxy, body, { 'content-type': 'application/json' })
    t.equal(response.status, status, `${size} bytes`)
    const text = await response.text()
    if (status === 200) token = JSON.parse(text).refreshToken
    else t.equal(text, badRequest)
  }

  const authorization = `Bearer ${apiKey}`
  const sessions = await fetch(`${haproxy.internalUrl}/internal/users/${session.id}/sessions`, { headers: { authorization } })
  t.match(await sessions.json(), { sessions: [{ generation: 3 }] }, 'the internal API is balanced too')
  for (const path of ['/healthz', '/readyz', '/metrics', '/']) await assertAnswer(t, await fetch(haproxy.internalUrl + path), 404, notFound, path)
  const log = haproxy.lines.join('\n')
  t.notOk(log.includes(refreshToken) || log.includes(token))
})

t.test('HAProxy exports its metrics for Prometheus', async t => {
  const { haproxy } = await startFakes(t, answers(200, '{}'))
  await post(haproxy)
  const metrics = async (): Promise<string> => {
    const [response] = await once(request({ socketPath: join(haproxy.folder, 'metrics.sock'), path: '/metrics' }).end(), 'response')
    return await text(response)
  }
  // HAProxy counts an answer just after it has sent it.
  await until('the answer is counted', async () => /haproxy_backend_http_responses_total\{proxy="replicas",code="2xx"\} 1\n/.test(await metrics()))
})
