import type { LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { build, claimsOf, guest, startRedis, type PrivateRedis, type Service } from '../support/helper.ts'
import { scrape } from '../support/metrics-text.ts'

/** Sessions in cookies: `POST /api/ps/session/refresh` and `POST /api/ps/session/logout`. */

const REFRESH = '/api/ps/session/refresh'
const LOGOUT = '/api/ps/session/logout'
const badRequest = '{"code":400,"message":"Bad Request"}'
const forbidden = '{"code":403,"message":"Forbidden"}'
const ATTRIBUTES = 'Path=/; HttpOnly; Secure; SameSite=Strict'
const CLEARING = `__Host-refresh=; Max-Age=0; ${ATTRIBUTES}`

let redis: PrivateRedis
let service: Service
t.before(async () => {
  redis = await startRedis(t)
  service = await build(t, redis, { COOKIE_SESSIONS: 'on', REFRESH_RETRY_WINDOW: '0' })
})

const setCookie = ({ headers }: LightMyRequestResponse): string => String(headers['set-cookie'])
/** The cookie as a browser sends it back. */
const cookieIn = (response: LightMyRequestResponse): string => setCookie(response).split(';')[0]!
const tokenIn = (cookie: string): string => cookie.slice(cookie.indexOf('.') + 1)

/** What the login service copies to its own answer. */
async function opening (overrides: object = {}, on = service): Promise<LightMyRequestResponse> {
  return await on.call('POST', '/internal/sessions', { ...guest, ...overrides })
}

async function post (url: string, cookie?: string, headers: Record<string, string> = {}, on = service): Promise<LightMyRequestResponse> {
  return await on.public.inject({ method: 'POST', url, headers: { ...cookie !== undefined && { cookie }, ...headers } })
}

async function isLive (cookie: string): Promise<boolean> {
  const { id, sid } = claimsOf(tokenIn(cookie))
  return (await service.call('GET', `/internal/users/${id}/sessions`)).json().sessions.some((session: { sid: string }) => session.sid === sid)
}

/** By how much a counter has risen, by outcome. */
async function rises (name: string, act: () => Promise<unknown>): Promise<Record<string, number>> {
  const counts = async (): Promise<Map<string, number>> => new Map([...(await scrape(service.internal)).samples]
    .filter(([key]) => key.startsWith(`${name}{`)).map(([key, value]) => [/="(.*)"/.exec(key)![1]!, value]))
  const before = await counts()
  await act()
  const risen = [...await counts()].map(([outcome, value]): [string, number] => [outcome, value - before.get(outcome)!])
  return Object.fromEntries(risen.filter(([, rise]) => rise !== 0))
}

t.test('opening sets the cookie, and a refresh replaces it and answers the other four keys', async t => {
  const opened = await opening({ idleTtl: 100 })
  t.same(Object.keys(opened.json()), ['id', 'email', 'role', 'token', 'refreshToken'])
  const device = Buffer.from(guest.deviceId).toString('base64url')
  t.equal(setCookie(opened), `__Host-refresh=${device}.${opened.json().refreshToken}; Max-Age=100; ${ATTRIBUTES}`)

  const refreshed = await post(REFRESH, `theme=dark; ${cookieIn(opened)}; __Host-refresher=x`)
  t.equal(refreshed.statusCode, 200)
  t.match(refreshed.headers, { 'cache-control': 'no-store', 'content-type': 'application/json; charset=utf-8' })
  const { id, email, role, token, ...more } = refreshed.json()
  t.same({ id, email, role, more }, { id: 1, email: guest.email, role: guest.role, more: {} })
  t.equal(claimsOf(token).sid, claimsOf(opened.json().refreshToken).sid)
  t.match(setCookie(refreshed), new RegExp(`^__Host-refresh=${device}\\.eyJ[\\w.-]+; Max-Age=100; ${ATTRIBUTES}$`))
  t.equal(claimsOf(tokenIn(cookieIn(refreshed))).gen, 2)
  t.equal((await post(REFRESH, cookieIn(refreshed))).statusCode, 200)
})

t.test('Max-Age is the time to the expiry of the session', async t => {
  const opened = await opening({ idleTtl: 100, absoluteTtl: 200 })
  const key = `${service.config.REDIS_PREFIX}1`
  const field = `s:${claimsOf(opened.json().refreshToken).sid}`
  const [gen, created, ...others] = (await redis.client.hget(key, field))!.split(':')
  await redis.client.hset(key, field, [gen, Number(created) - 150, ...others].join(':'))
  const age = Number(/Max-Age=(\d+)/.exec(setCookie(await post(REFRESH, cookieIn(opened))))![1])
  t.ok(age > 0 && age <= 50, `${age} s`)
})

t.test('a session without a device, and one with any device', async t => {
  for (const deviceId of [undefined, '\ufeff \u{1f600}', 'a:b.c;d="e"', '\u{1f600}'.repeat(255)]) {
    const opened = await opening({ deviceId })
    const refreshed = await post(REFRESH, cookieIn(opened))
    t.equal(refreshed.statusCode, 200)
    t.equal((await post(LOGOUT, cookieIn(refreshed))).statusCode, 204)
    t.notOk(await isLive(cookieIn(opened)))
  }
})

t.test('a session of an OAuth client gets no cookie, and is refused', async t => {
  const opened = await opening({ clientId: 'app' })
  t.notOk('set-cookie' in opened.headers)
  const cookie = `__Host-refresh=${Buffer.from(guest.deviceId).toString('base64url')}.${opened.json().refreshToken}`
  const refused = await post(REFRESH, cookie)
  t.match(refused, { statusCode: 400, body: badRequest })
  t.notOk('set-cookie' in refused.headers)
  t.match(await post(LOGOUT, cookie), { statusCode: 204 })
  t.ok(await isLive(cookie), 'it lives on')
})

t.test('every malformed cookie and refused token gets the documented 400, clears no cookie and harms nothing', async t => {
  const opened = await opening()
  const cookie = cookieIn(opened)
  const [device, token] = [cookie.slice(0, cookie.indexOf('.')), tokenIn(cookie)]
  const cookies: Record<string, string | undefined> = {
    missing: undefined,
    'another cookie': 'theme=dark',
    empty: '__Host-refresh=',
    'without a device and its point': `__Host-refresh=${token}`,
    'a second time': `${cookie}; ${cookie}`,
    'a second time, empty': `${cookie}; __Host-refresh=`,
    'another case': cookie.replace('__Host', '__host'),
    'in quotes': cookie.replace('=', '="') + '"',
    'percent-encoded': cookie.replace('.', '%2E'),
    'a device in another encoding': cookie.replace('.', '==.'),
    'a device that is no UTF-8': `__Host-refresh=gA.${token}`,
    'a blank device': `__Host-refresh=IA.${token}`,
    'another device': `__Host-refresh=eA.${token}`,
    'no device': `__Host-refresh=.${token}`,
    oversized: `${device}.${token}${'A'.repeat(4096)}`,
    forged: cookie.replace(/.$/, last => last === 'A' ? 'Q' : 'A'),
    'an access token': `${device}.${opened.json().token}`
  }
  for (const [what, value] of Object.entries(cookies)) {
    const response = await post(REFRESH, value)
    t.match(response, { statusCode: 400, body: badRequest, headers: { 'cache-control': 'no-store' } }, what)
    t.notOk('set-cookie' in response.headers, what)
  }
  for (const [what, value] of Object.entries(cookies)) {
    const response = await post(LOGOUT, value)
    t.match(response, { statusCode: 204, body: '' }, what)
    t.equal(setCookie(response), CLEARING, what)
  }
  t.match(await post(REFRESH, cookie, { 'idempotency-key': '"' }), { statusCode: 400, body: badRequest })
  t.ok(await isLive(cookie))
  const refreshed = await post(REFRESH, cookie)
  t.equal(refreshed.statusCode, 200)
  const reused = await post(REFRESH, cookie)
  t.match(reused, { statusCode: 400, body: badRequest })
  t.notOk('set-cookie' in reused.headers, 'reuse clears no cookie either')
})

t.test('a cookie has one spelling: its device is canonical base64url of UTF-8', async t => {
  // A byte takes two characters; the second one has four unused bits.
  const canonical = cookieIn(await opening({ deviceId: 'A' }))
  t.match(canonical, /=QQ\./)
  t.equal((await post(REFRESH, canonical.replace('=QQ.', '=QR.'))).statusCode, 400)
  t.equal((await post(REFRESH, canonical)).statusCode, 200)
  // A decoder replaces an invalid byte by U+FFFD.
  const replaced = cookieIn(await opening({ deviceId: '\ufffd' }))
  const invalid = replaced.replace(Buffer.from('\ufffd').toString('base64url'), Buffer.from([0xff]).toString('base64url'))
  t.not(invalid, replaced)
  t.equal((await post(REFRESH, invalid)).statusCode, 400)
  t.equal((await post(REFRESH, replaced)).statusCode, 200)
})

t.test('an oversized cookie is malformed: its token is not verified', async t => {
  const rise = async (size: number): Promise<object> => await rises('rts_refresh_requests_total', async () => {
    await post(REFRESH, `__Host-refresh=.a.b.${'c'.repeat(size - '__Host-refresh=.a.b.'.length)}`)
  })
  t.same(await rise(4096), { forged: 1 })
  t.same(await rise(4097), { malformed: 1 })
})

t.test('a log-out ends the session and clears the cookie, and is idempotent', async t => {
  const cookie = cookieIn(await opening())
  for (let i = 0; i < 2; i++) {
    const response = await post(LOGOUT, cookie)
    t.match(response, { statusCode: 204, body: '', headers: { 'cache-control': 'no-store' } })
    t.equal(setCookie(response), CLEARING)
    t.notOk(response.headers['content-type'])
  }
  t.equal((await post(REFRESH, cookie)).body, badRequest)
})

t.test('requests that share the cookie share its successor, however late they arrive within the retry window', async t => {
  const service = await build(t, redis, { COOKIE_SESSIONS: 'on' })
  const opened = await opening({}, service)
  const key = `${service.config.REDIS_PREFIX}1`
  const field = `s:${claimsOf(opened.json().refreshToken).sid}`
  const passAnHour = async (): Promise<void> => {
    const [gen, created, rotated, ...others] = (await redis.client.hget(key, field))!.split(':')
    await redis.client.hset(key, field, [gen, created, Number(rotated) - 3600, ...others].join(':'))
  }
  const atOnce = await post(REFRESH, cookieIn(opened), {}, service)
  t.equal(cookieIn(atOnce), cookieIn(opened), 'right after the log-in nothing is rotated')
  await passAnHour()
  const second = cookieIn(await post(REFRESH, cookieIn(opened), {}, service))
  t.equal(claimsOf(tokenIn(second)).gen, 2)
  // A tab with the new cookie, and one whose request has the old one.
  for (const cookie of [second, cookieIn(opened), second]) t.equal(cookieIn(await post(REFRESH, cookie, {}, service)), second)
  await passAnHour()
  t.equal(claimsOf(tokenIn(cookieIn(await post(REFRESH, second, {}, service)))).gen, 3)
  t.match(await post(REFRESH, cookieIn(opened), {}, service), { statusCode: 400 }, 'an older cookie is reuse')
  t.equal(await redis.client.hexists(key, field), 0)
})

t.test('an Idempotency-Key repeats a refresh without a time limit', async t => {
  const cookie = cookieIn(await opening())
  const first = await post(REFRESH, cookie, { 'idempotency-key': 'k' })
  t.equal(cookieIn(await post(REFRESH, cookie, { 'idempotency-key': '"k"' })), cookieIn(first))
})

t.test('a body is ignored, up to the limit', async t => {
  let cookie = cookieIn(await opening())
  for (const [type, payload] of [['application/json', ''], ['application/json', '{'], ['text/plain', 'x'], ['application/x-www-form-urlencoded', 'a=b']] as const) {
    const response = await service.public.inject({ method: 'POST', url: REFRESH, headers: { cookie, 'content-type': type }, payload })
    t.equal(response.statusCode, 200, type)
    cookie = cookieIn(response)
  }
  for (const url of [REFRESH, LOGOUT]) {
    const response = await service.public.inject({ method: 'POST', url, headers: { cookie }, payload: 'x'.repeat(33 * 1024) })
    t.match(response, { statusCode: 400, body: badRequest })
    t.notOk('set-cookie' in response.headers)
  }
  t.ok(await isLive(cookie))
})

t.test('counts refreshes and log-outs by outcome, and writes no line about a stranger', async t => {
  const cookie = cookieIn(await opening())
  service.log.length = 0
  t.same(await rises('rts_refresh_requests_total', async () => await post(REFRESH, cookie)), { rotated: 1 })
  t.same(await rises('rts_refresh_requests_total', async () => await post(REFRESH)), { malformed: 1 })
  t.same(await rises('rts_refresh_requests_total', async () => await post(REFRESH, cookie, { 'sec-fetch-site': 'cross-site' })), { malformed: 1 })
  t.same(await rises('rts_logouts_total', async () => await post(LOGOUT, '__Host-refresh=.x.y.z')), { forged: 1 })
  t.same(await rises('rts_logouts_total', async () => await post(LOGOUT, cookie.replace(/=.*?\./, '=eA.'))), { device_mismatch: 1 })
  t.same(await rises('rts_logouts_total', async () => await post(LOGOUT, cookie)), { ended: 1 })
  // The audit trail has lines of authentic tokens, as at the documented endpoint.
  t.same(service.log.filter(({ level, msg, audit }) => Number(level) > 20 && msg !== 'requests were refused' && audit === undefined), [])
  t.notMatch(JSON.stringify(service.log), tokenIn(cookie).split('.')[2]!)
})

t.test('a failure of Redis sets and clears no cookie', async t => {
  const broken = await startRedis(t)
  const service = await build(t, broken, { COOKIE_SESSIONS: 'on' })
  const cookie = cookieIn(await opening({}, service))
  await broken.client.config('SET', 'maxmemory', '1')
  const answers = [await post(REFRESH, cookie, {}, service)]
  await broken.client.config('SET', 'maxmemory', '0')
  await broken.client.call('CLIENT', 'PAUSE', '3000')
  answers.push(...await Promise.all([REFRESH, LOGOUT].map(async url => await post(url, cookie, {}, service))))
  for (const { statusCode, headers } of answers) {
    t.equal(statusCode, 500)
    t.notOk('set-cookie' in headers)
  }
})

t.test('limits hold as at the documented endpoint: 429 and 500 clear nothing', async t => {
  const limited = await build(t, redis, { COOKIE_SESSIONS: 'on', RATE_LIMIT_PER_SESSION: '1/60', MAX_REFRESHES_IN_FLIGHT: '1' })
  const first = await post(REFRESH, cookieIn(await opening({}, limited)), {}, limited)
  t.equal(first.statusCode, 200)
  limited.public.concurrencyLimit.acquire()
  const shed = await post(LOGOUT, cookieIn(first), {}, limited)
  limited.public.concurrencyLimit.release()
  const over = await post(LOGOUT, cookieIn(first), {}, limited)
  t.same([shed.statusCode, over.statusCode], [500, 429])
  for (const { headers } of [shed, over]) t.notOk('set-cookie' in headers)
})

t.test('COOKIE_SAME_SITE=lax', async t => {
  const lax = await build(t, redis, { COOKIE_SESSIONS: 'on', COOKIE_SAME_SITE: 'lax' })
  t.match(setCookie(await opening({}, lax)), /; SameSite=Lax$/)
  t.match(setCookie(await post(LOGOUT, undefined, {}, lax)), /^__Host-refresh=; .*; SameSite=Lax$/)
})

t.test('off: no route, and no cookie', async t => {
  const off = await build(t, redis)
  t.notOk('set-cookie' in (await opening({}, off)).headers)
  for (const url of [REFRESH, LOGOUT]) t.equal((await post(url, undefined, {}, off)).statusCode, 404)
  for (const url of [REFRESH, LOGOUT]) t.equal((await service.internal.inject({ method: 'POST', url })).statusCode, 404, 'nor on the internal listener')
  t.notOk('set-cookie' in (await service.refresh((await service.open()).refreshToken)).headers, 'nor at the documented endpoint')
})

/** Headers of a request, and whether it is allowed; `own` is https://auth.example.com. */
const app = 'https://app.example.com'
const own = 'https://auth.example.com'
const rules: Array<[allowed: boolean, headers: Record<string, string>]> = [
  [true, {}],
  [true, { 'sec-fetch-site': 'same-origin' }],
  [true, { 'sec-fetch-site': 'same-origin', origin: own }],
  [true, { 'sec-fetch-site': 'none' }],
  [true, { 'sec-fetch-site': 'same-site', origin: app }],
  [false, { 'sec-fetch-site': 'same-site' }],
  [false, { 'sec-fetch-site': 'same-site', origin: 'https://blog.example.com' }],
  [false, { 'sec-fetch-site': 'same-site', origin: 'null' }],
  [false, { 'sec-fetch-site': 'cross-site' }],
  [false, { 'sec-fetch-site': 'cross-site', origin: app }],
  [false, { 'sec-fetch-site': 'cross-site', origin: own }],
  [false, { 'sec-fetch-site': '' }],
  [false, { 'sec-fetch-site': 'same-origin, same-origin' }],
  [false, { 'sec-fetch-site': 'Same-Origin' }],
  [true, { origin: own }],
  [true, { origin: app }],
  [false, { origin: 'null' }],
  [false, { origin: '' }],
  [false, { origin: 'http://auth.example.com' }],
  [false, { origin: 'https://auth.example.com:8443' }],
  [false, { origin: 'https://auth.example.com.evil.example' }],
  [false, { origin: 'https://evil.example', referer: own }]
]

/** Sends each request and checks that a refused one has done nothing. */
async function checkRules (t: Test, service: Service, headersOfAll: Record<string, string>): Promise<void> {
  let cookie = cookieIn(await opening({}, service))
  for (const [allowed, headers] of rules) {
    const what = JSON.stringify(headers)
    const response = await post(REFRESH, cookie, { ...headersOfAll, ...headers }, service)
    t.equal(response.statusCode, allowed ? 200 : 403, what)
    if (allowed) {
      cookie = cookieIn(response)
      continue
    }
    const loggedOut = await post(LOGOUT, cookie, { ...headersOfAll, ...headers }, service)
    for (const refused of [response, loggedOut]) {
      t.match(refused, { statusCode: 403, body: forbidden, headers: { 'cache-control': 'no-store' } }, what)
      t.notOk('set-cookie' in refused.headers, what)
    }
  }
  t.equal(claimsOf(tokenIn(cookie)).gen, 1 + rules.filter(([allowed]) => allowed).length)
}

t.test('cross-site requests are refused: the own origin is OAUTH_ISSUER', async t => {
  const service = await build(t, redis, { COOKIE_SESSIONS: 'on', REFRESH_RETRY_WINDOW: '0', CORS_ORIGINS: app, OAUTH_ISSUER: own })
  await checkRules(t, service, { host: 'localhost' })
})

t.test('cross-site requests are refused: the own origin is that of the request, by its proxy', async t => {
  const service = await build(t, redis, { COOKIE_SESSIONS: 'on', REFRESH_RETRY_WINDOW: '0', CORS_ORIGINS: app, TRUST_PROXY: 'on' })
  await checkRules(t, service, { host: 'inner:3000', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'auth.example.com' })
})

t.test('a proxy that is not trusted does not change the own origin', async t => {
  const cookie = cookieIn(await opening())
  const headers = { origin: own, 'x-forwarded-proto': 'https', 'x-forwarded-host': 'auth.example.com' }
  t.equal((await post(REFRESH, cookie, headers)).statusCode, 403)
  t.equal((await post(REFRESH, cookie, { origin: 'http://127.0.0.1:3000', host: '127.0.0.1:3000' })).statusCode, 200)
})

t.test('a request of another site is refused before its body is read', async t => {
  const response = await service.public.inject({
    method: 'POST', url: REFRESH, headers: { 'sec-fetch-site': 'cross-site' }, payload: 'x'.repeat(33 * 1024)
  })
  t.equal(response.body, forbidden)
})

t.test('CORS: pages of CORS_ORIGINS send credentials to these routes only', async t => {
  const service = await build(t, redis, { NODE_ENV: 'production', COOKIE_SESSIONS: 'on', CORS_ORIGINS: app })
  const credentials = async (method: 'OPTIONS' | 'POST', url: string, origin: string): Promise<unknown> => {
    const headers = { origin, 'sec-fetch-site': 'same-site', ...method === 'OPTIONS' && { 'access-control-request-method': 'POST' } }
    return (await service.public.inject({ method, url, headers })).headers['access-control-allow-credentials']
  }
  for (const method of ['OPTIONS', 'POST'] as const) {
    for (const url of [REFRESH, LOGOUT]) {
      t.equal(await credentials(method, url, app), 'true')
      t.equal(await credentials(method, url, 'https://evil.example'), undefined)
    }
    for (const url of ['/api/ps/refresh', '/api/ps/logout', '/.well-known/jwks.json']) t.equal(await credentials(method, url, app), undefined)
  }
  const off = await build(t, redis, { NODE_ENV: 'production', CORS_ORIGINS: app })
  const { headers } = await off.public.inject({ method: 'POST', url: REFRESH, headers: { origin: app } })
  t.notOk('access-control-allow-credentials' in headers)
})
