import { once } from 'node:events'
import { connect } from 'node:net'
import fc from 'fast-check'
import Fastify from 'fastify'
import t from 'tap'
import errors from '../../plugins/errors.ts'
import { build, claimsOf, guest, startRedis, type PrivateRedis, type Service } from '../support/helper.ts'

/** The documented endpoint, byte for byte. */

const url = '/api/ps/refresh'
const badRequest = '{"code":400,"message":"Bad Request"}'

let redis: PrivateRedis
let service: Service
let base: string
let port: number
t.before(async () => {
  redis = await startRedis(t)
  service = await build(t, redis)
  base = await service.public.listen({ port: 0 })
  port = Number(new URL(base).port)
})

t.test('the code sample of the documentation works', async t => {
  const { refreshToken } = await service.open()
  const response = await fetch(`${base}/api/ps/refresh`, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json'
    },
    body: JSON.stringify({
      deviceId: 'Unique key',
      refreshToken
    })
  })
  t.equal(response.status, 200)
  t.equal(response.headers.get('content-type'), 'application/json; charset=utf-8')
  t.equal(response.headers.get('cache-control'), 'no-store')
  const text = await response.text()
  t.match(text, /^\{"id":1,"email":"guest@keygenqt\.com","role":"GUEST","token":"[\w.-]+","refreshToken":"[\w.-]+"\}$/)
  t.match(claimsOf(JSON.parse(text).refreshToken), { sub: 'Refresh', iss: 'ktor.io', id: 1, gen: 2 })
  t.match(claimsOf(JSON.parse(text).token), { sub: 'Authentication', iss: 'ktor.io', id: 1 })
})

t.test('a repeated request gets the same refresh token and a new access token', async t => {
  const { refreshToken } = await service.open()
  const first = (await service.refresh(refreshToken)).json()
  const second = (await service.refresh(refreshToken)).json()
  t.equal(second.refreshToken, first.refreshToken)
  t.equal(claimsOf(second.token).sid, claimsOf(refreshToken).sid)
})

/** Valid keys, and another spelling of the same key where there is one. */
const keys: Array<[header: string, again?: string]> = [
  ['"8e03978e-40d5-43dd-bc93-6894a57f9324"', '8e03978e-40d5-43dd-bc93-6894a57f9324'],
  ['k', '"k"'],
  ['aA9!#$%&\'*+.^_`|~:/=-'],
  ['"a, b; c=\\"d\\\\\\""'],
  ['" "'],
  [`"${'\\"'.repeat(255)}"`],
  ['x'.repeat(255), `"${'x'.repeat(255)}"`]
]

t.test('a request repeated with its Idempotency-Key gets the same refresh token, however late', async t => {
  const { open, refresh } = await build(t, redis, { REFRESH_RETRY_WINDOW: '0' })
  for (const [key, again = key] of keys) {
    const { refreshToken } = await open()
    const first = (await refresh(refreshToken, guest.deviceId, { 'idempotency-key': key })).json()
    t.equal((await refresh(refreshToken, guest.deviceId, { 'Idempotency-Key': again })).json().refreshToken, first.refreshToken, key.slice(0, 40))
    t.equal((await refresh(refreshToken, guest.deviceId, { 'idempotency-key': `"${key.length}"` })).statusCode, 400, 'another key')
    t.equal((await refresh(first.refreshToken)).statusCode, 400, 'the session has ended')
  }
})

t.test('rejects an Idempotency-Key that is empty, too long or malformed, and keeps the session', async t => {
  const { refreshToken } = await service.open()
  const malformed = [
    '', '""', 'x'.repeat(256), `"${'x'.repeat(256)}"`, 'x'.repeat(10_000), '"a', 'a"', '"a"b"', '"a\\"', '"a\\b"', '"a";p=1', 'a b', 'a,b', 'a;b', '(a)',
    '?1', ':YQ==: x', '"\u00e9"', '\u00e9', '"a\tb"', '"\u007f"', '{}', '"a", "b"'
  ]
  const { malformed: before } = service.metrics.refreshes
  for (const key of malformed) {
    const response = await service.refresh(refreshToken, guest.deviceId, { 'idempotency-key': key })
    t.equal(response.statusCode, 400, JSON.stringify(key.slice(0, 40)))
    t.equal(response.body, badRequest)
  }
  for (const lines of ['Idempotency-Key: a\r\nIdempotency-Key: a\r\n', 'Idempotency-Key: "a\r\nidempotency-key: b"\r\n']) {
    const answer = await send(raw(JSON.stringify({ deviceId: guest.deviceId, refreshToken }), `Host: a\r\nConnection: close\r\n${lines}`))
    t.ok(answer.endsWith(badRequest), `a repeated header: ${lines}`)
  }
  t.equal(service.metrics.refreshes.malformed, before + malformed.length + 2)
  t.equal(claimsOf((await service.refresh(refreshToken)).json().refreshToken).gen, 2)
})

t.test('every client error has the same answer', async t => {
  const { refreshToken, token } = await service.open()
  const reused = (await service.open({ deviceId: 'thief' })).refreshToken
  const second = (await service.refresh(reused, 'thief')).json().refreshToken
  await service.refresh(second, 'thief')
  const revoked = await service.open({ deviceId: 'gone' })
  await service.call('DELETE', `/internal/users/1/sessions/${claimsOf(revoked.refreshToken).sid}`)
  const forged = refreshToken.replace(/.$/, last => last === 'A' ? 'Q' : 'A')

  const refusals: Array<[outcome: string, token: string, deviceId: string]> = [
    ['forged', forged, guest.deviceId],
    ['forged', token, guest.deviceId],
    ['device_mismatch', refreshToken, 'another'],
    ['reused', reused, 'thief'],
    ['unknown', reused, 'thief'],
    ['unknown', revoked.refreshToken, 'gone']
  ]
  for (const [outcome, token, deviceId] of refusals) {
    service.log.length = 0
    const response = await service.refresh(token, deviceId)
    t.equal(response.statusCode, 400, outcome)
    t.equal(response.body, badRequest)
    t.match(response.headers, { 'cache-control': 'no-store', 'content-type': 'application/json; charset=utf-8' })
    const lines = service.log.filter(({ msg }) => /^(refresh|request) refused$/.test(String(msg)))
    if (outcome === 'forged') t.match(lines, [{ reason: outcome, level: 20, reqId: String }], 'a debug line names the reason')
    else t.match(lines, [{ outcome, level: outcome === 'reused' ? 40 : 20, reqId: String, userId: 1, sid: claimsOf(token).sid }], 'one line names the outcome')
  }
  t.equal((await service.refresh(refreshToken)).statusCode, 200)
})

t.test('a success is logged at debug only, a recovery as a warning', async t => {
  const { refreshToken } = await service.open()
  service.log.length = 0
  await service.refresh(refreshToken)
  t.same(service.log.filter(({ level, reqId }) => Number(level) > 20 && reqId !== undefined), [])
  const { sid } = claimsOf(refreshToken)
  const newest = (await service.refresh((await service.refresh(refreshToken)).json().refreshToken)).json().refreshToken
  await redis.client.hset(`${service.config.REDIS_PREFIX}1`, `s:${sid}`,
    (await redis.client.hget(`${service.config.REDIS_PREFIX}1`, `s:${sid}`))!.replace(/^\d+/, '1'))
  const response = await service.refresh(newest)
  t.equal(claimsOf(response.json().refreshToken).gen, 4)
  t.match(service.log.filter(({ level }) => level === 40), [{ outcome: 'recovered', userId: 1, sid }])
})

t.test('rejects malformed bodies with 400 and keeps the session', async t => {
  const { refreshToken } = await service.open()
  const deviceId = guest.deviceId
  const json = { 'content-type': 'application/json' }
  const valid = JSON.stringify({ deviceId, refreshToken })
  const bodies: Record<string, { payload?: string | Buffer | object, headers?: Record<string, string> }> = {
    'no body': { headers: json },
    'no body and no type': {},
    'an empty object': { payload: {} },
    'no deviceId': { payload: { refreshToken } },
    'no refreshToken': { payload: { deviceId } },
    'an empty deviceId': { payload: { deviceId: '', refreshToken } },
    'a blank deviceId': { payload: { deviceId: ' \t\n\u00a0\ufeff', refreshToken } },
    'a deviceId of 256 characters': { payload: { deviceId: 'x'.repeat(256), refreshToken } },
    'a deviceId with a lone surrogate': { payload: `{"deviceId":"\\ud800","refreshToken":"${refreshToken}"}`, headers: json },
    'a deviceId that is a number': { payload: { deviceId: 1, refreshToken } },
    'a deviceId that is null': { payload: { deviceId: null, refreshToken } },
    'a deviceId that is a list': { payload: { deviceId: [deviceId], refreshToken } },
    'an empty refreshToken': { payload: { deviceId, refreshToken: '' } },
    'a refreshToken that is a list': { payload: { deviceId, refreshToken: [refreshToken] } },
    'a refreshToken that is an object': { payload: { deviceId, refreshToken: { toString: 'x' } } },
    'a refreshToken of 4097 characters': { payload: { deviceId, refreshToken: 'x'.repeat(4097) } },
    'a body over the limit': { payload: { deviceId, refreshToken, more: 'x'.repeat(33 * 1024) } },
    'a list': { payload: `[${valid}]`, headers: json },
    null: { payload: 'null', headers: json },
    'a string': { payload: '"x"', headers: json },
    'JSON cut short': { payload: valid.slice(0, -1), headers: json },
    'JSON with trailing text': { payload: `${valid}x`, headers: json },
    'invalid UTF-8 in the token': { payload: Buffer.concat([Buffer.from('{"deviceId":"a","refreshToken":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]), headers: json },
    'invalid UTF-8 in the deviceId': { payload: Buffer.concat([Buffer.from('{"deviceId":"'), Buffer.from([0xff]), Buffer.from(`","refreshToken":"${refreshToken}"}`)]), headers: json },
    'a prototype': { payload: `{"__proto__":{"deviceId":"${deviceId}"},"refreshToken":"${refreshToken}"}`, headers: json },
    'no content type': { payload: valid, headers: {} },
    'plain text': { payload: valid, headers: { 'content-type': 'text/plain' } },
    'a form': { payload: `deviceId=x&refreshToken=${refreshToken}`, headers: { 'content-type': 'application/x-www-form-urlencoded' } },
    XML: { payload: '<a/>', headers: { 'content-type': 'application/xml' } },
    'an invalid content type': { payload: valid, headers: { 'content-type': 'json' } },
    'a wrong content length': { payload: valid, headers: { ...json, 'content-length': String(valid.length + 1) } }
  }
  for (const [what, request] of Object.entries(bodies)) {
    service.log.length = 0
    const response = await service.public.inject({ method: 'POST', url, ...request })
    t.equal(response.statusCode, 400, what)
    t.equal(response.body, badRequest, what)
    t.equal(response.headers['cache-control'], 'no-store', what)
    t.match(service.log.filter(({ msg }) => msg === 'request refused'), [{ level: 20, reason: /^(FST_ERR|RTS)_|^forged$/ }], what)
  }
  t.equal(claimsOf((await service.refresh(refreshToken)).json().refreshToken).gen, 2)
})

t.test('accepts unusual but valid requests', async t => {
  const poison = '"__proto__":{"a":1},"constructor":{"prototype":{"a":1}}'
  const unusual: Record<string, (refreshToken: string) => { payload: string | object, headers?: Record<string, string> }> = {
    'unknown fields': refreshToken => ({ payload: { more: [1], deviceId: 'd', refreshToken } }),
    'a charset': refreshToken => ({ payload: JSON.stringify({ deviceId: 'd', refreshToken }), headers: { 'content-type': 'Application/JSON; charset=UTF-8' } }),
    'a byte order mark': refreshToken => ({ payload: `\ufeff${JSON.stringify({ deviceId: 'd', refreshToken })}`, headers: { 'content-type': 'application/json' } }),
    'fields that would poison a prototype': refreshToken => ({ payload: `{${poison},"deviceId":"d","refreshToken":"${refreshToken}"}`, headers: { 'content-type': 'application/json' } }),
    'a query': refreshToken => ({ payload: { deviceId: 'd', refreshToken } })
  }
  for (const [what, request] of Object.entries(unusual)) {
    const { refreshToken } = await service.open({ deviceId: 'd' })
    const response = await service.public.inject({ method: 'POST', url: `${url}?x=1`, ...request(refreshToken) })
    t.equal(response.statusCode, 200, what)
  }
  for (const deviceId of ['x'.repeat(255), '😀'.repeat(255), ' a ', '\u0000', '名前']) {
    const { refreshToken } = await service.open({ deviceId })
    t.equal((await service.refresh(refreshToken, deviceId)).statusCode, 200)
  }
})

t.test('rejects random bodies with 400 and keeps the session', async t => {
  const { refreshToken } = await service.open()
  const almost = fc.record({
    deviceId: fc.oneof(fc.constant(guest.deviceId), fc.jsonValue()),
    refreshToken: fc.oneof(fc.constant(refreshToken), fc.jsonValue())
  }, { requiredKeys: [] }).filter(body => body.deviceId !== guest.deviceId || body.refreshToken !== refreshToken)
  await fc.assert(fc.asyncProperty(
    fc.oneof(almost.map(body => JSON.stringify(body)), fc.json(), fc.uint8Array().map(bytes => Buffer.from(bytes))),
    async payload => {
      const response = await service.public.inject({ method: 'POST', url, payload, headers: { 'content-type': 'application/json' } })
      return response.statusCode === 400 && response.body === badRequest
    }), { numRuns: 500 })
  t.equal(claimsOf((await service.refresh(refreshToken)).json().refreshToken).gen, 2)
})

t.test('other routes and methods are 404 with the documented body', async t => {
  for (const [method, url] of [['GET', '/api/ps/refresh'], ['PUT', '/api/ps/refresh'], ['POST', '/'], ['GET', '/healthz'], ['POST', '/internal/sessions'], ['GET', '/metrics'], ['OPTIONS', '/api/ps/refresh']] as const) {
    const response = await service.public.inject({ method, url, payload: '{', headers: { 'content-type': 'application/json' } })
    t.equal(response.statusCode, 404)
    t.equal(response.body, '{"code":404,"message":"Not Found"}')
    t.equal(response.headers['cache-control'], 'no-store')
  }
})

/** Sends bytes and returns everything that comes back until the connection closes. */
async function send (bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1').setEncoding('utf8')
  socket.write(bytes)
  let answer = ''
  for await (const chunk of socket) answer += chunk
  return answer
}

const raw = (body: string, headers = 'Host: a\r\n'): string =>
  `POST ${url} HTTP/1.1\r\n${headers}Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`

t.test('bytes that are not HTTP get the documented body too', async t => {
  const broken = [
    'nonsense\r\n\r\n',
    `POST ${url} HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
    'GET /%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    `POST ${url} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    `POST ${url} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`
  ]
  for (const bytes of broken) {
    const answer = await send(bytes)
    t.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n/)
    t.match(answer, /\r\ncache-control: no-store\r\n/i)
    t.ok(answer.endsWith(`\r\n\r\n${badRequest}`))
  }
})

t.test('the route answers requests that Node would answer by itself', async t => {
  for (const headers of ['Host: a\r\nExpect: nonsense\r\n', 'Host: a\r\nExpect: 100-continue\r\n', '']) {
    const { refreshToken } = await service.open()
    const answer = await send(raw(JSON.stringify({ deviceId: guest.deviceId, refreshToken }), `${headers}Connection: close\r\n`))
    t.match(answer, /HTTP\/1\.1 200 OK\r\n[^]*"refreshToken"/)
    t.ok((await send(raw('{}', `${headers}Connection: close\r\n`))).endsWith(badRequest))
  }
})

t.test('answers a whole request although invalid bytes follow', async t => {
  for (const rest of ['x', 'GARBAGE\r\n\r\n', '\0']) {
    const { refreshToken } = await service.open()
    const answer = await send(raw(JSON.stringify({ deviceId: guest.deviceId, refreshToken })) + rest)
    t.match(answer, /^HTTP\/1\.1 200 OK\r\n[^]*"refreshToken":"[\w.-]+"\}HTTP\/1\.1 400 Bad Request\r\n/)
    t.ok(answer.endsWith(badRequest))
  }
})

t.test('answers several pipelined requests although invalid bytes follow', async t => {
  const sessions = await Promise.all([1, 2, 3, 4].map(async userId => await service.open({ userId })))
  const answer = await send(sessions.map(({ refreshToken }) => raw(JSON.stringify({ deviceId: guest.deviceId, refreshToken }))).join('') + 'x')
  t.same(answer.match(/HTTP\/1\.1 \d+|"id":\d/g), [1, 2, 3, 4].flatMap(id => ['HTTP/1.1 200', `"id":${id}`]).concat('HTTP/1.1 400'))
  t.ok(answer.endsWith(badRequest))
})

t.test('answers an incomplete request with 500 after the time-out, so that the client tries again', async t => {
  const answer = await send(raw(JSON.stringify({ deviceId: 'x', refreshToken: 'x' })).slice(0, -1))
  t.match(answer, /^HTTP\/1\.1 500 Internal Server Error\r\n/)
  t.match(answer, /\r\ncache-control: no-store\r\n/i)
  t.ok(answer.endsWith('\r\n\r\n{"code":500,"message":"Internal Error"}'))
})

t.test('logs no error for a connection reset in the middle of a request', async t => {
  const socket = connect(port, '127.0.0.1')
  socket.write(raw('{"deviceId":"x"}').slice(0, -1))
  await once(service.public.server, 'request')
  service.log.length = 0
  socket.resetAndDestroy()
  const { refreshToken } = await service.open()
  t.equal((await service.refresh(refreshToken)).statusCode, 200)
  t.notOk(service.log.some(({ level }) => Number(level) >= 50))
})

t.test('answers 500 to an unexpected error with another status', async t => {
  const app = Fastify()
  t.teardown(async () => await app.close())
  await app.register(errors)
  app.get('/', async () => { throw Object.assign(new Error('at 10.0.0.7'), { statusCode: 503 }) })
  const response = await app.inject('/')
  t.equal(response.statusCode, 500)
  t.equal(response.body, '{"code":500,"message":"Internal Error"}')
})
