import t from 'tap'
import { claimsOf, guest, startRedis, type PrivateRedis } from '../support/helper.ts'
import { overRate } from '../support/over-rate.ts'
import { basic, buildOauth, errorOf, refreshForm, REVOKE, send, TOKEN } from './helper.ts'

// POST /oauth/token (RFC 6749 section 6).

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

const { deviceId, ...withoutDevice } = guest
const device = { device_id: deviceId }

t.test('a refresh answers as RFC 6749 says, with the same tokens as the documented endpoint', async t => {
  const service = await buildOauth(t, redis, { ACCESS_TOKEN_TTL: '600' })
  const opened = await service.open()
  const response = await send(service, TOKEN, refreshForm(opened.refreshToken, device))
  t.equal(response.statusCode, 200)
  t.match(response.headers, { 'cache-control': 'no-store', pragma: 'no-cache', 'content-type': 'application/json; charset=utf-8' })
  const body = response.json()
  t.same(Object.keys(body), ['access_token', 'token_type', 'expires_in', 'refresh_token'])
  t.match(body, { token_type: 'Bearer', expires_in: 600 })
  t.equal(claimsOf(body.refresh_token).gen, 2)
  const { iat, exp } = claimsOf(body.access_token)
  t.equal(exp - iat, body.expires_in)
  const next = await service.refresh(body.refresh_token)
  t.equal(next.statusCode, 200, 'the two endpoints share the session')
  t.equal((await send(service, TOKEN, refreshForm(next.json().refreshToken, device))).statusCode, 200)
  t.equal(service.metrics.refreshes.rotated, 3)
})

t.test('a session without a device is refreshed without device_id, and none with another', async t => {
  const service = await buildOauth(t, redis)
  const { refreshToken } = await service.open({ ...withoutDevice, deviceId: undefined })
  t.same(errorOf(await send(service, TOKEN, refreshForm(refreshToken, device))), [400, 'invalid_grant'])
  t.equal((await send(service, TOKEN, refreshForm(refreshToken, { device_id: '' }))).statusCode, 200, 'an empty parameter is left out')
  const { refreshToken: bound } = await service.open()
  t.same(errorOf(await send(service, TOKEN, refreshForm(bound))), [400, 'invalid_grant'])
  t.same(errorOf(await send(service, TOKEN, refreshForm(bound, { device_id: 'other' }))), [400, 'invalid_grant'])
  t.equal(service.metrics.refreshes.device_mismatch, 3)
  t.equal((await send(service, TOKEN, refreshForm(bound, device))).statusCode, 200)
})

t.test('scope is the claim of the session, and a requested scope is ignored', async t => {
  const service = await buildOauth(t, redis)
  const { refreshToken } = await service.open({ sessionClaims: { scope: 'read write' } })
  const answered = await send(service, TOKEN, refreshForm(refreshToken, { ...device, scope: 'admin' }))
  t.match(answered.json(), { scope: 'read write' })
  const { refreshToken: other } = await service.open({ userId: 2, sessionClaims: { scope: ['read'] } })
  t.notOk('scope' in (await send(service, TOKEN, refreshForm(other, { ...device, scope: 'admin' }))).json())
})

t.test('Idempotency-Key repeats a refresh without a time limit', async t => {
  const service = await buildOauth(t, redis, { REFRESH_RETRY_WINDOW: '0' })
  const { refreshToken } = await service.open()
  const key = { 'idempotency-key': '"a-random-text"' }
  const first = await send(service, TOKEN, refreshForm(refreshToken, device), key)
  const again = await send(service, TOKEN, refreshForm(refreshToken, device), key)
  t.equal(again.json().refresh_token, first.json().refresh_token)
  t.same(errorOf(await send(service, TOKEN, refreshForm(refreshToken, device), { 'idempotency-key': '"' })), [400, 'invalid_request'])
  t.same(errorOf(await send(service, TOKEN, refreshForm(refreshToken, device))), [400, 'invalid_grant'], 'without the key it is reuse')
  t.equal(service.metrics.refreshes.reused, 1)
})

t.test('parallel refreshes of one token get one successor', async t => {
  const service = await buildOauth(t, redis)
  const { refreshToken } = await service.open({ clientId: 'app' })
  const form = refreshForm(refreshToken, { ...device, client_id: 'app' })
  const answers = await Promise.all(Array.from({ length: 20 }, async () => await send(service, TOKEN, form)))
  t.same(new Set(answers.map(({ statusCode }) => statusCode)), new Set([200]))
  t.equal(new Set(answers.map(response => response.json().refresh_token)).size, 1)
})

t.test('a refresh and a revocation in parallel leave no session', async t => {
  const service = await buildOauth(t, redis)
  for (let round = 0; round < 10; round++) {
    const { refreshToken } = await service.open()
    const [refreshed, revoked] = await Promise.all([
      send(service, TOKEN, refreshForm(refreshToken, device)), send(service, REVOKE, { token: refreshToken, ...device })
    ])
    t.equal(revoked.statusCode, 200)
    const last = refreshed.statusCode === 200 ? refreshed.json().refresh_token : refreshToken
    t.same(errorOf(await send(service, TOKEN, refreshForm(last, device))), [400, 'invalid_grant'])
  }
})

t.test('a request that is not as documented is an invalid_request, and another grant an unsupported_grant_type', async t => {
  const service = await buildOauth(t, redis)
  const { refreshToken } = await service.open()
  const right = new URLSearchParams(refreshForm(refreshToken, device)).toString()
  const invalid: Record<string, string> = {
    'an empty body': '',
    'no grant type': right.replace('grant_type=refresh_token&', ''),
    'an empty grant type': right.replace('grant_type=refresh_token', 'grant_type='),
    'no token': `grant_type=refresh_token&${new URLSearchParams(device).toString()}`,
    'a grant type twice': `${right}&grant_type=refresh_token`,
    'a token twice': `${right}&refresh_token=x`,
    'a device twice': `${right}&device_id=x`,
    'a client twice': `${right}&client_id=a&client_id=a`,
    'a scope twice': `${right}&scope=a&scope=a`,
    'a secret twice': `${right}&client_secret=a&client_secret=a`,
    'a token that is too long': right.replace('refresh_token=ey', `refresh_token=${'x'.repeat(4096)}`),
    'a blank device': right.replace(/device_id=[^&]*/, 'device_id=+'),
    'a broken escape': `${right}&x=%`,
    'an escape that is no UTF-8': `${right}&x=%ff`,
    'bytes beyond ASCII': `${right}&x=\u00e9`,
    'too large a body': `${right}&x=${'x'.repeat(32 * 1024)}`
  }
  for (const [name, form] of Object.entries(invalid)) t.same(errorOf(await send(service, TOKEN, form)), [400, 'invalid_request'], name)
  for (const type of ['application/json', 'text/plain', 'multipart/form-data; boundary=a']) {
    t.same(errorOf(await send(service, TOKEN, right, { 'content-type': type })), [400, 'invalid_request'], type)
  }
  for (const type of ['authorization_code', 'password', 'client_credentials', 'REFRESH_TOKEN', 'urn:ietf:params:oauth:grant-type:token-exchange']) {
    t.same(errorOf(await send(service, TOKEN, { grant_type: type, code: 'x' })), [400, 'unsupported_grant_type'], type)
  }
  t.equal(service.metrics.refreshes.malformed, Object.keys(invalid).length + 3 + 5)
  const response = await send(service, TOKEN, `${right}&resource=a&resource=b&__proto__=x&constructor=y`, {
    'content-type': 'application/x-www-form-urlencoded; charset=UTF-8'
  })
  t.equal(response.statusCode, 200, 'unknown parameters are ignored, and the session is unharmed')
})

t.test('while Redis is down, every answer is a 503 and no invalid_grant', async t => {
  const own = await startRedis(t)
  const service = await buildOauth(t, own, { LOG_LEVEL: 'info' })
  const { refreshToken } = await service.open()
  await own.kill()
  for (const [url, form] of [[TOKEN, refreshForm(refreshToken, device)], [REVOKE, { token: refreshToken, ...device }]] as const) {
    const response = await send(service, url, form)
    t.same(errorOf(response), [503, 'temporarily_unavailable'])
    t.match(response.headers, { 'retry-after': '1', 'cache-control': 'no-store' })
  }
  t.equal(service.metrics.refreshes.unavailable, 1)
  t.equal(service.metrics.logouts.unavailable, 1)
  t.same(errorOf(await send(service, TOKEN, refreshForm('x', device))), [400, 'invalid_grant'], 'a forged token needs no Redis')
})

t.test('rate limits and the concurrency limit hold for the OAuth routes', async t => {
  const service = await buildOauth(t, redis, { RATE_LIMIT_PER_SESSION: '2/3600' })
  const { refreshToken } = await service.open()
  for (let i = 0; i < 2; i++) t.equal((await send(service, TOKEN, refreshForm(refreshToken, device))).statusCode, 200)
  const limitedRefresh = await overRate(async () => await send(service, TOKEN, refreshForm(refreshToken, device)))
  t.same(errorOf(limitedRefresh), [429, 'temporarily_unavailable'])
  const limited = await overRate(async () => await send(service, REVOKE, { token: refreshToken, ...device }))
  t.same(errorOf(limited), [429, 'temporarily_unavailable'], 'a revocation counts too')
  t.match(limited.headers, { 'retry-after': /^\d+$/ })

  const perAddress = await buildOauth(t, redis, { RATE_LIMIT_PER_ADDRESS: '1/3600' })
  t.equal((await send(perAddress, TOKEN, '')).statusCode, 400)
  t.same(errorOf(await overRate(async () => await send(perAddress, TOKEN, ''))), [429, 'temporarily_unavailable'])

  const full = await buildOauth(t, redis, { MAX_REFRESHES_IN_FLIGHT: '1' })
  full.public.concurrencyLimit.acquire()
  for (const url of [TOKEN, REVOKE]) {
    const response = await send(full, url, '')
    t.same(errorOf(response), [503, 'temporarily_unavailable'])
    t.match(response.headers, { 'retry-after': '1' })
  }
  t.equal(full.metrics.refreshes.overloaded, 1)
  t.equal(full.metrics.logouts.overloaded, 1)
})

t.test('pages of CORS_ORIGINS may read the answers, errors included', async t => {
  const origin = 'https://app.example.com'
  const service = await buildOauth(t, redis, { NODE_ENV: 'production', CORS_ORIGINS: origin })
  const { refreshToken } = await service.open()
  for (const [url, form] of [[TOKEN, refreshForm(refreshToken, device)], [TOKEN, ''], [REVOKE, '']] as const) {
    t.match((await send(service, url, form, { origin })).headers, { 'access-control-allow-origin': origin })
    t.notOk((await send(service, url, '', { origin: 'https://example.com' })).headers['access-control-allow-origin'])
  }
  const headers = { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'idempotency-key' }
  t.equal((await service.public.inject({ method: 'OPTIONS', url: TOKEN, headers })).statusCode, 204)
})

t.test('refusals of strangers write no line of their own, and are counted', async t => {
  const service = await buildOauth(t, redis, { LOG_LEVEL: 'info' })
  const before = service.log.length
  for (let i = 0; i < 20; i++) {
    await send(service, TOKEN, refreshForm(`forged.${i}.x`))
    await send(service, TOKEN, '%')
    await send(service, TOKEN, { grant_type: 'password' })
    await send(service, REVOKE, { token: 'x' }, basic('shop', 'x'))
  }
  service.public.reporter.refused.flush()
  const lines = service.log.slice(before)
  t.ok(lines.every(({ msg }) => msg === 'requests were refused'))
  for (const reason of ['forged', 'RTS_MALFORMED_BODY', 'RTS_UNSUPPORTED_GRANT_TYPE', 'invalid_client']) {
    t.equal(lines.reduce((sum, { refused }) => sum + ((refused as Record<string, number>)[reason] ?? 0), 0), 20, reason)
  }
})

t.test('without OAUTH_ISSUER no route exists', async t => {
  const service = await buildOauth(t, redis, { OAUTH_ISSUER: '' })
  for (const url of [TOKEN, REVOKE]) t.equal((await send(service, url, '')).statusCode, 404)
  t.equal((await service.public.inject('/.well-known/oauth-authorization-server')).statusCode, 404)
  const on = await buildOauth(t, redis)
  t.equal((await on.internal.inject({ method: 'POST', url: TOKEN })).statusCode, 404, 'nor on the internal listener')
})
