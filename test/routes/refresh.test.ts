import { connect, type AddressInfo } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import { build, claimsOf, guest, startRedis, type PrivateRedis, type Service } from '../helper.ts'

/** The documented endpoint, byte for byte. */

const url = '/api/ps/refresh'
const badRequest = '{"code":400,"message":"Bad Request"}'

let redis: PrivateRedis
let service: Service
t.before(async () => {
  redis = await startRedis(t)
  service = await build(t, redis)
})

t.test('the code sample of the documentation', async t => {
  const { refreshToken } = await service.open()
  const base = await service.public.listen({ port: 0 })
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

t.test('a repeated request gets the same refresh token and an access token of its own', async t => {
  const { refreshToken } = await service.open()
  const first = (await service.refresh(refreshToken)).json()
  const second = (await service.refresh(refreshToken)).json()
  t.equal(second.refreshToken, first.refreshToken)
  t.equal(claimsOf(second.token).sid, claimsOf(refreshToken).sid)
})

t.test('every outcome that is the caller\'s has the same answer', async t => {
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
    const lines = service.log.filter(({ msg }) => msg === 'refresh refused')
    t.match(lines, [{ outcome, level: outcome === 'reused' ? 40 : 30, reqId: String }], 'one line says which')
    if (outcome !== 'forged') t.match(lines, [{ userId: 1, sid: claimsOf(token).sid }])
  }
  t.equal((await service.refresh(refreshToken)).statusCode, 200)
})

t.test('a success is silent above debug, a recovery is a warning', async t => {
  const { refreshToken } = await service.open()
  service.log.length = 0
  await service.refresh(refreshToken)
  t.same(service.log.filter(({ level }) => Number(level) > 20), [])
  const { sid } = claimsOf(refreshToken)
  const newest = (await service.refresh((await service.refresh(refreshToken)).json().refreshToken)).json().refreshToken
  await redis.client.hset(`${service.config.REDIS_PREFIX}1`, `s:${sid}`,
    (await redis.client.hget(`${service.config.REDIS_PREFIX}1`, `s:${sid}`))!.replace(/^\d+/, '1'))
  const response = await service.refresh(newest)
  t.equal(claimsOf(response.json().refreshToken).gen, 4)
  t.match(service.log.at(-1), { level: 40, outcome: 'recovered', userId: 1, sid })
})

t.test('malformed bodies are 400 and harm no session', async t => {
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
    'a text': { payload: '"x"', headers: json },
    'JSON cut short': { payload: valid.slice(0, -1), headers: json },
    'JSON with something behind': { payload: `${valid}x`, headers: json },
    'invalid UTF-8 in the token': { payload: Buffer.concat([Buffer.from('{"deviceId":"a","refreshToken":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]), headers: json },
    'a prototype': { payload: `{"__proto__":{"deviceId":"${deviceId}"},"refreshToken":"${refreshToken}"}`, headers: json },
    'no content type': { payload: valid, headers: {} },
    'plain text': { payload: valid, headers: { 'content-type': 'text/plain' } },
    'a form': { payload: `deviceId=x&refreshToken=${refreshToken}`, headers: { 'content-type': 'application/x-www-form-urlencoded' } },
    XML: { payload: '<a/>', headers: { 'content-type': 'application/xml' } },
    'a content type that is none': { payload: valid, headers: { 'content-type': 'json' } },
    'a wrong content length': { payload: valid, headers: { ...json, 'content-length': String(valid.length + 1) } }
  }
  for (const [what, request] of Object.entries(bodies)) {
    service.log.length = 0
    const response = await service.public.inject({ method: 'POST', url, ...request })
    t.equal(response.statusCode, 400, what)
    t.equal(response.body, badRequest, what)
    t.equal(response.headers['cache-control'], 'no-store', what)
    t.match(service.log.filter(({ level }) => Number(level) >= 30), [{ level: 30, outcome: /malformed|forged/ }], what)
  }
  t.equal(claimsOf((await service.refresh(refreshToken)).json().refreshToken).gen, 2)
})

t.test('what is unusual but right is taken', async t => {
  const unusual: Record<string, (refreshToken: string) => { payload: string | object, headers?: Record<string, string> }> = {
    'unknown fields': refreshToken => ({ payload: { more: [1], deviceId: 'd', refreshToken } }),
    'a charset': refreshToken => ({ payload: JSON.stringify({ deviceId: 'd', refreshToken }), headers: { 'content-type': 'Application/JSON; charset=UTF-8' } }),
    'a byte order mark': refreshToken => ({ payload: `\ufeff${JSON.stringify({ deviceId: 'd', refreshToken })}`, headers: { 'content-type': 'application/json' } }),
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

t.test('no body whatever is anything but 400, nor harms the session', async t => {
  const { refreshToken } = await service.open()
  const almost = fc.record({
    deviceId: fc.oneof(fc.constant(guest.deviceId), fc.jsonValue()),
    refreshToken: fc.oneof(fc.constant(refreshToken), fc.jsonValue())
  }, { requiredKeys: [] }).filter(body => body.deviceId !== guest.deviceId || body.refreshToken !== refreshToken)
  await fc.assert(fc.asyncProperty(
    fc.oneof(almost.map(body => JSON.stringify(body)), fc.json(), fc.string({ unit: 'binary' })),
    async payload => {
      const response = await service.public.inject({ method: 'POST', url, payload, headers: { 'content-type': 'application/json' } })
      return response.statusCode === 400 && response.body === badRequest
    }), { numRuns: 500 })
  t.equal(claimsOf((await service.refresh(refreshToken)).json().refreshToken).gen, 2)
})

t.test('other routes and methods are 404, in the same shape', async t => {
  for (const [method, url] of [['GET', '/api/ps/refresh'], ['PUT', '/api/ps/refresh'], ['POST', '/'], ['GET', '/healthz'], ['POST', '/internal/sessions'], ['GET', '/metrics']] as const) {
    const response = await service.public.inject({ method, url })
    t.equal(response.statusCode, 404)
    t.equal(response.body, '{"code":404,"message":"Not Found"}')
  }
})

t.test('bytes that are no HTTP get the documented body too', async t => {
  const { port } = service.public.server.address() as AddressInfo
  for (const bytes of ['nonsense\r\n\r\n', `POST ${url} HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 'GET /%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n']) {
    const socket = connect(port, '127.0.0.1').setEncoding('utf8')
    socket.write(bytes)
    let answer = ''
    for await (const chunk of socket) answer += chunk
    t.match(answer, /^HTTP\/1\.1 400 Bad Request\r\n/)
    t.ok(answer.endsWith(`\r\n\r\n${badRequest}`))
  }
})

t.test('a connection that breaks in the middle of a request is nobody\'s error', async t => {
  const { port } = service.public.server.address() as AddressInfo
  const socket = connect(port, '127.0.0.1')
  socket.write(`POST ${url} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{`)
  const seen = new Promise(resolve => service.public.server.once('request', resolve))
  await seen
  service.log.length = 0
  socket.resetAndDestroy()
  const { refreshToken } = await service.open()
  t.equal((await service.refresh(refreshToken)).statusCode, 200)
  t.notOk(service.log.some(({ level }) => Number(level) >= 50))
})
