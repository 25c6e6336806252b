import t, { type Test } from 'tap'
import type { LightMyRequestResponse } from 'fastify'
import { apiKey, build, claimsOf, guest, startRedis, type PrivateRedis, type Service } from '../support/helper.ts'

/** `/internal/verify`, for API gateways. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS'

interface Ask {
  method?: Method
  url?: string
  headers?: Record<string, string>
  payload?: string
}

async function ask (service: Service, token: string | undefined, { headers, ...rest }: Ask = {}): Promise<LightMyRequestResponse> {
  return await service.internal.inject({
    method: 'GET',
    url: '/internal/verify',
    headers: { 'x-internal-api-key': apiKey, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers },
    ...rest
  })
}

function assertRefused (t: Test, response: LightMyRequestResponse, what: string): void {
  t.equal(response.statusCode, 401, what)
  t.equal(response.body, '{"code":401,"message":"Unauthorized"}', what)
  t.match(response.headers, { 'www-authenticate': 'Bearer', 'cache-control': 'no-store' }, what)
  t.same(Object.keys(response.headers).filter(name => name.startsWith('x-') && name !== 'x-request-id'), [], what)
}

function assertBroken (t: Test, response: LightMyRequestResponse, what: string): void {
  t.equal(response.statusCode, 500, what)
  t.equal(response.body, '{"code":500,"message":"Internal Error"}', what)
  t.same(Object.keys(response.headers).filter(name => name.startsWith('x-') && name !== 'x-request-id'), [], what)
}

t.test('a good token: 204 with the user in headers', async t => {
  const service = await build(t, redis)
  const { token } = await service.open()
  const response = await ask(service, token)
  t.equal(response.statusCode, 204)
  t.equal(response.body, '')
  t.match(response.headers, { 'x-user-id': '1', 'x-user-role': 'GUEST', 'x-session-id': claimsOf(token).sid, 'cache-control': 'no-store' })
  t.equal((await ask(service, undefined, { headers: { authorization: `bearer  ${token}` } })).statusCode, 204)
  t.equal((await ask(service, token, { method: 'HEAD' })).statusCode, 404, 'only GET is allowed')
})

t.test('returns a changed role at once', async t => {
  const service = await build(t, redis)
  const { token } = await service.open()
  await service.call('PATCH', '/internal/users/1', { role: 'ADMIN' })
  t.equal((await ask(service, token)).headers['x-user-role'], 'ADMIN')
})

t.test('a missing or invalid token: 401', async t => {
  const service = await build(t, redis)
  const { token, refreshToken } = await service.open()
  const { sid } = claimsOf(token)
  const now = Number((await redis.client.time())[0])
  const refused: Record<string, string | undefined> = {
    'no token': undefined,
    'an empty token': '',
    'a forged token': `${token.slice(0, -10)}AAAAAAAAAA`,
    'a refresh token': refreshToken,
    'an expired token': service.public.tokens.signAccess({ id: 1, sid, gen: 1 }, now - 900),
    'a token of an unknown session': service.public.tokens.signAccess({ id: 1, sid: 'A'.repeat(22), gen: 1 }, now),
    'two tokens': `${token} ${token}`,
    'the API key': apiKey
  }
  for (const [what, wrong] of Object.entries(refused)) assertRefused(t, await ask(service, wrong), what)
  assertRefused(t, await ask(service, undefined, { headers: { authorization: `Basic ${token}` } }), 'another scheme')
  t.equal((await ask(service, token)).statusCode, 204)
  await service.call('DELETE', `/internal/users/1/sessions/${sid}`)
  assertRefused(t, await ask(service, token), 'a token of a revoked session')
})

t.test('a gateway with a wrong key gets 500, so that its clients are not logged out', async t => {
  const service = await build(t, redis)
  const { token } = await service.open()
  for (const url of ['/internal/verify', '/internal/verify/orders']) {
    for (const key of ['', `${apiKey}x`, apiKey.slice(1), `Bearer ${apiKey}`, `${apiKey}, ${apiKey}`]) {
      assertBroken(t, await ask(service, token, { url, headers: { 'x-internal-api-key': key } }), `${url}: a key of ${key.length}`)
    }
    assertBroken(t, await service.internal.inject({ url, headers: { authorization: `Bearer ${apiKey}` } }), 'the API key as the client\'s bearer token')
  }
  t.match(service.log.filter(({ level }) => level === 50)[0], { msg: 'request failed', err: { message: /X-Internal-Api-Key/ } }, 'the log names the header')
  t.equal((await service.internal.inject({ url: '/internal/users/1/sessions', headers: { 'x-internal-api-key': apiKey } })).statusCode, 401,
    'other routes do not take the gateway\'s header')
})

t.test('answers 500 while Redis is down, or if a role in Redis contains a line break', async t => {
  const server = await startRedis(t)
  const service = await build(t, server)
  const { token } = await service.open()
  await server.client.hset(`${service.config.REDIS_PREFIX}1`, 'role', 'ADMIN\r\nX-User-Id: 2')
  assertBroken(t, await ask(service, token), 'a role with a line break')
  await server.kill()
  assertBroken(t, await ask(service, token), 'no Redis')
  assertRefused(t, await ask(service, 'forged'), 'rejects a forged token without Redis')
})

t.test('Envoy: 200 for any method and any path below /internal/verify', async t => {
  const service = await build(t, redis)
  const { token } = await service.open()
  const methods: Method[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']
  for (const method of methods) {
    for (const path of ['/', '/orders/1?x=y', '/users/1', `/${'long/'.repeat(200)}`, '/caf%C3%A9', '//x']) {
      const response = await ask(service, token, { method, url: `/internal/verify${path}` })
      t.equal(response.statusCode, 200, `${method} ${path}`)
      t.equal(response.body, '')
      t.match(response.headers, { 'x-user-id': '1', 'x-user-role': guest.role, 'x-session-id': claimsOf(token).sid })
      assertRefused(t, await ask(service, undefined, { method: method === 'HEAD' ? 'GET' : method, url: `/internal/verify${path}` }), `${method} ${path}`)
    }
  }
  t.equal((await ask(service, token, { url: '/internal/verify/%zz' })).statusCode, 400, 'a malformed path is refused')
})

t.test('ignores the body of the client\'s request', async t => {
  const service = await build(t, redis)
  const { token } = await service.open()
  for (const type of ['application/json', 'text/xml', 'application/x-www-form-urlencoded']) {
    for (const payload of ['', '{', 'x'.repeat(100_000)]) {
      const response = await ask(service, token, { method: 'POST', url: '/internal/verify/orders', headers: { 'content-type': type }, payload })
      t.equal(response.statusCode, 200, `${payload.length} bytes of ${type}`)
    }
  }
})

t.test('logs neither tokens nor paths of other services', async t => {
  const server = await startRedis(t)
  const service = await build(t, server)
  const { token } = await service.open()
  const url = '/internal/verify/reset/sesame?code=sesame'
  for (const given of [token, `${token.slice(0, -10)}AAAAAAAAAA`]) await ask(service, given, { url })
  await ask(service, token, { url, headers: { 'x-internal-api-key': 'sesame' } })
  await server.kill()
  await ask(service, token, { url })
  t.match(service.log.filter(({ msg }) => /^request /.test(String(msg))), [
    { level: 20, reason: 'RTS_ACCESS_REFUSED' },
    { err: { code: 'RTS_GATEWAY_REFUSED' }, req: { url: '/internal/verify/*' } },
    { err: { code: 'RTS_STORE_UNAVAILABLE' }, req: { url: '/internal/verify/*' } }
  ])
  const log = JSON.stringify(service.log)
  for (const secret of [token, token.split('.')[1]!, apiKey, 'sesame']) t.notOk(log.includes(secret))
})
