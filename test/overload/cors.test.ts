import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { openContext, startChromium } from '../support/chromium.ts'
import { build, environment, guest, postSession, startRedis, startService, type Service } from '../support/helper.ts'
import { overRate } from '../support/over-rate.ts'

/** Only pages of `CORS_ORIGINS` may read answers, and only those of the public listener. */

const url = '/api/ps/refresh'
const app = 'https://app.example.com'

/** The CORS headers and Vary. */
function corsOf (headers: Record<string, unknown>): object {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name === 'vary' || name.startsWith('access-control-')))
}

const preflight = (origin: string): { method: 'OPTIONS', url: string, headers: Record<string, string> } => ({
  method: 'OPTIONS', url, headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type, idempotency-key, dpop' }
})

const post = (origin: string): { method: 'POST', url: string, headers: Record<string, string>, payload: object } =>
  ({ method: 'POST', url, headers: { origin }, payload: {} })

const production = async (t: Test, settings: Record<string, string>): Promise<Service> =>
  await build(t, await startRedis(t), { NODE_ENV: 'production', ...settings })

t.test('sends no CORS headers by default', async t => {
  const service = await production(t, {})
  for (const request of [preflight(app), post(app)]) t.same(corsOf((await service.public.inject(request)).headers), {})
})

t.test('allows exactly the origins of CORS_ORIGINS', async t => {
  const service = await production(t, { CORS_ORIGINS: `${app}, http://localhost:8080,capacitor://localhost` })
  for (const origin of [app, 'http://localhost:8080', 'capacitor://localhost']) {
    const asked = await service.public.inject(preflight(origin))
    t.equal(asked.statusCode, 204)
    t.equal(asked.headers['cache-control'], 'no-store')
    t.same(corsOf(asked.headers), {
      vary: 'Origin',
      'access-control-allow-origin': origin,
      'access-control-allow-methods': 'GET, POST, DELETE',
      'access-control-allow-headers': 'authorization, content-type, idempotency-key, dpop',
      'access-control-max-age': '600'
    })
    const answered = await service.public.inject(post(origin))
    t.equal(answered.statusCode, 400)
    t.same(corsOf(answered.headers), { vary: 'Origin', 'access-control-allow-origin': origin, 'access-control-expose-headers': 'Retry-After, X-Request-Id' })
  }
  for (const origin of ['https://example.com', 'http://app.example.com', `${app}:8443`, `${app}.evil.example`, 'null']) {
    const asked = await service.public.inject(preflight(origin))
    t.equal(asked.statusCode, 404, origin)
    t.same(corsOf(asked.headers), { vary: 'Origin' })
    t.same(corsOf((await service.public.inject(post(origin))).headers), { vary: 'Origin' })
  }
  t.equal((await service.public.inject({ method: 'OPTIONS', url, headers: { origin: app } })).statusCode, 404, 'an OPTIONS request without Access-Control-Request-Method')
  t.same(corsOf((await service.internal.inject({ url: '/healthz', headers: { origin: app } })).headers), {}, 'no CORS headers on the internal listener')
})

t.test('error answers have CORS headers too', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis, { NODE_ENV: 'production', CORS_ORIGINS: app, RATE_LIMIT_PER_ADDRESS: '1/60', MAX_REFRESHES_IN_FLIGHT: '1' })
  const { refreshToken } = await service.open()
  const payload = { deviceId: guest.deviceId, refreshToken }
  const malformed = await service.public.inject(post(app))
  const limited = await overRate(async () => await service.public.inject({ ...post(app), payload }))
  for (const { headers } of [malformed, limited]) t.equal(headers['access-control-allow-origin'], app)
  service.public.concurrencyLimit.acquire()
  const shed = await service.public.inject(post(app))
  service.public.concurrencyLimit.release()
  t.same([malformed, limited, shed].map(({ statusCode }) => statusCode), [400, 429, 500])
  t.match(shed.headers, { 'access-control-allow-origin': app, 'retry-after': '1' })
})

/** Serves a page at a new origin. */
async function servePage (t: Test): Promise<string> {
  const server = createServer((_request, response) => { response.setHeader('content-type', 'text/html').end('<!doctype html><title>a page</title>') })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => { server.close(); server.closeAllConnections() })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

t.test('a browser refreshes from an allowed origin and refuses another', async t => {
  const redis = await startRedis(t)
  const [allowed, other] = [await servePage(t), await servePage(t)]
  const service = await startService(t, environment(redis.url, { NODE_ENV: 'production', SHUTDOWN_DELAY: '0', CORS_ORIGINS: allowed, REFRESH_RETRY_WINDOW: '0' }))
  const { refreshToken } = await postSession(service.internalUrl)
  const page = await (await openContext(t, await startChromium(t))).newPage()
  const refresh = async (token: string): Promise<unknown> => await page.evaluate(async ([url, body]) => {
    try {
      const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': crypto.randomUUID() }
      const response = await fetch(url!, { method: 'POST', headers, body: body! })
      return { status: response.status, body: await response.json() }
    } catch (err) {
      return (err as Error).name
    }
  }, [`${service.publicUrl}${url}`, JSON.stringify({ deviceId: guest.deviceId, refreshToken: token })])

  await page.goto(other)
  t.equal(await refresh(refreshToken), 'TypeError', 'the preflight failed, so the browser sent no refresh')
  await page.goto(allowed)
  const first = await refresh(refreshToken) as { status: number, body: { refreshToken: string } }
  t.match(first, { status: 200, body: { id: 1, refreshToken: /^eyJ/ } })
  t.same(await refresh('forged'), { status: 400, body: { code: 400, message: 'Bad Request' } })
})
