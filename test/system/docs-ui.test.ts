import type { AddressInfo } from 'node:net'
import type { Locator, Page } from 'playwright-core'
import t from 'tap'
import { openContext, startChromium } from '../support/chromium.ts'
import { apiKey, build, environment, guest, startRedis, startService, type Service, type TokensBody } from '../support/helper.ts'

/** The API page of the internal listener in a real browser, and CORS on the public listener for the page's origin. */

/** Opens the operation's panel, sends a body, and returns the status and the body that the page shows. */
async function tryOut (page: Page, operationId: string, body: object): Promise<{ status: string, answer: TokensBody }> {
  const panel: Locator = page.locator(`[id$="-${operationId}"]`)
  await panel.locator('.opblock-summary-control').click()
  await panel.getByRole('button', { name: 'Try it out' }).click()
  await panel.locator('textarea').fill(JSON.stringify(body))
  await panel.getByRole('button', { name: 'Execute' }).click()
  const live = panel.locator('.live-responses-table')
  const status = (await live.locator('tbody .response-col_status').innerText()).trim()
  return { status, answer: JSON.parse(await live.locator('tbody .highlight-code pre').first().innerText()) }
}

t.test('the page opens a session and refreshes it', async t => {
  const redis = await startRedis(t)
  const service = await startService(t, { ...environment(redis.url), LOG_LEVEL: 'info' })
  const page = await (await openContext(t, await startChromium(t))).newPage()
  const trouble: string[] = []
  const requested: string[] = []
  page.on('console', message => { if (message.type() === 'error') trouble.push(message.text()) })
  page.on('pageerror', err => trouble.push(err.message))
  page.on('request', request => requested.push(new URL(request.url()).origin))

  await page.goto(`${service.internalUrl}/docs`)
  await page.locator('.opblock').first().waitFor()
  const document = await (await fetch(`${service.internalUrl}/docs/json`)).json() as { paths: object }
  t.equal(await page.locator('.opblock').count(), Object.values(document.paths).flatMap(item => Object.keys(item))
    .filter(key => key !== 'servers').length, 'the page shows every operation')

  await page.locator('.auth-wrapper .authorize').first().click()
  const form = page.locator('form', { hasText: 'internalApiKey (' })
  await form.locator('#auth-bearer-value').fill(apiKey)
  await form.locator('.authorize').click()
  await page.locator('.auth-btn-wrapper .btn-done').first().click()

  const opened = await tryOut(page, 'openSession', guest)
  t.equal(opened.status, '201')
  t.match(opened.answer, { id: guest.userId, email: guest.email, role: guest.role })
  const refreshed = await tryOut(page, 'refresh', { deviceId: guest.deviceId, refreshToken: opened.answer.refreshToken })
  t.equal(refreshed.status, '200')
  t.match(refreshed.answer, { id: guest.userId, refreshToken: /^eyJ/ })
  t.not(refreshed.answer.refreshToken, opened.answer.refreshToken)

  t.same(trouble, [], 'the browser reports no error')
  t.same([...new Set(requested)].sort(), [service.internalUrl, service.publicUrl].sort(), 'the page requests no other origin')
})

/** Sends a browser's CORS preflight for the POST of the page (Fetch standard). */
async function preflight (service: Service, origin: string, url = '/api/ps/refresh'): Promise<{ status: number, headers: Record<string, unknown> }> {
  const { statusCode, headers } = await service.public.inject({
    method: 'OPTIONS',
    url,
    headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' }
  })
  const cors = Object.entries(headers).filter(([name]) => name === 'vary' || name.startsWith('access-control-'))
  return { status: statusCode, headers: Object.fromEntries(cors) }
}

t.test('in development the public listener allows only the origin of the page', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis)
  t.match(await preflight(service, 'http://localhost:3001'), { status: 404 }, 'refused until the internal listener listens')
  await service.internal.listen({ host: '127.0.0.1', port: 0 })
  const { port } = service.internal.server.address() as AddressInfo

  for (const host of ['localhost', '127.0.0.1', '[::1]']) {
    t.same(await preflight(service, `http://${host}:${port}`), {
      status: 204,
      headers: {
        vary: 'Origin',
        'access-control-allow-origin': `http://${host}:${port}`,
        'access-control-allow-methods': 'GET, POST, DELETE',
        'access-control-allow-headers': 'authorization, content-type, idempotency-key, dpop',
        'access-control-max-age': '600'
      }
    })
  }
  for (const origin of [`http://localhost:${port + 1}`, 'http://localhost', `https://localhost:${port}`, `http://localhost.example:${port}`, 'null']) {
    t.same(await preflight(service, origin), { status: 404, headers: { vary: 'Origin' } }, origin)
  }

  const origin = `http://localhost:${port}`
  const post = await service.public.inject({ method: 'POST', url: '/api/ps/refresh', headers: { origin }, payload: {} })
  t.equal(post.statusCode, 400)
  t.equal(post.headers['access-control-allow-origin'], origin, 'the page can read refusals too')
  const plain = await service.public.inject({ method: 'OPTIONS', url: '/api/ps/refresh', headers: { origin } })
  t.equal(plain.statusCode, 404, 'an OPTIONS request that is no preflight is not found')
})

t.test('a page at a configured IPv6 host is allowed', async t => {
  const service = await build(t, await startRedis(t), { INTERNAL_HOST: '::ffff:127.0.0.1' })
  await service.internal.listen({ host: '127.0.0.1', port: 0 })
  const { port } = service.internal.server.address() as AddressInfo
  t.match(await preflight(service, `http://[::ffff:127.0.0.1]:${port}`), { status: 204 })
})

t.test('in production the public listener does not allow the origin of the page', async t => {
  const service = await build(t, await startRedis(t), { NODE_ENV: 'production' })
  await service.internal.listen({ host: '127.0.0.1', port: 0 })
  const { port } = service.internal.server.address() as AddressInfo
  const origin = `http://localhost:${port}`
  t.same(await preflight(service, origin), { status: 404, headers: {} })
  const { refreshToken } = await service.open()
  const { statusCode, headers } = await service.public.inject({
    method: 'POST', url: '/api/ps/refresh', headers: { origin }, payload: { deviceId: guest.deviceId, refreshToken }
  })
  t.equal(statusCode, 200)
  t.same(Object.keys(headers).filter(name => name === 'vary' || name.startsWith('access-control-')), [])
  t.equal((await service.internal.inject('/docs')).statusCode, 200, 'the page itself is served')
})

t.test('only the internal listener serves the page, without a key and under a strict content security policy', async t => {
  const service = await build(t, await startRedis(t), { PORT: '3456' })
  const { statusCode, headers } = await service.internal.inject('/docs')
  t.equal(statusCode, 200, 'without a key')
  t.match(headers['content-security-policy'], /default-src 'self';.*frame-ancestors 'none'/)
  const missing = await service.internal.inject('/docs/static/nothing.js')
  t.equal(missing.statusCode, 404)
  t.same(missing.json(), { code: 404, message: 'Not Found' }, 'a missing file gets the service\'s own error')
  t.equal((await service.public.inject('/docs')).statusCode, 404, 'the public listener does not serve the page')

  const document = (await service.internal.inject({ url: '/docs/json', headers: { host: 'machine:9001' } })).json()
  t.same(document.paths['/readyz'].servers[0].url, 'http://machine:9001', 'the internal listener, at the host of the request')
  t.same(document.paths['/api/ps/refresh'].servers[0].url, 'http://machine:3456', 'the public listener, at the same host')
})
