import { randomBytes } from 'node:crypto'
import Fastify, { type FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'
import type { BrowserContext, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import refreshTokens from '#src/plugin/index'
import { openContext, startChromium } from '../support/chromium.ts'
import { claimsOf, guest, secret, startRedis, until } from '../support/helper.ts'

/**
 * Sessions in a cookie of a real browser. `http://localhost` counts as secure, so that the browser keeps the cookie. `127.0.0.1` is
 * another site; another port of `localhost` is another origin of the same site; `sub.localhost` could set cookies for `localhost`.
 */

const TABS = 10
const REQUESTS = 20

const redis = await startRedis(t)
const browser = await startChromium(t)

/** Moves the last rotation an hour into the past, so that the retry window has closed. */
async function passAnHour ({ record }: World): Promise<void> {
  for (const [field, value] of Object.entries(await redis.client.hgetall(record))) {
    if (!field.startsWith('s:')) continue
    const [gen, created, rotated, ...others] = value.split(':')
    await redis.client.hset(record, field, [gen, created, Number(rotated) - 3600, ...others].join(':'))
  }
}

interface World {
  /** Key of the user's record. */
  record: string
  app: FastifyInstance
  url: string
  context: BrowserContext
  /** A page of the app, after the log-in. */
  page: Page
}

/** Pages of no script, and their origin's port. */
async function servePages (t: Test, prepare = (_app: FastifyInstance): void => {}): Promise<number> {
  const app = Fastify()
  t.teardown(async () => await app.close())
  app.get('/', async (_request, reply) => reply.type('text/html').send('<!doctype html><title>a page</title>'))
  prepare(app)
  return Number(new URL(await app.listen({ host: '127.0.0.1', port: 0 })).port)
}

/** An app with the plugin, and a browser that has logged in. */
async function startWorld (t: Test): Promise<World> {
  const app = Fastify({ forceCloseConnections: true })
  const redisPrefix = `rt:${randomBytes(6).toString('hex')}:`
  const client = new Redis(redis.url.replace('redis+socket://', ''))
  t.teardown(async () => {
    await app.close()
    client.disconnect()
  })
  await app.register(refreshTokens, {
    redis: client,
    redisPrefix,
    refreshTokenSecrets: secret(),
    accessTokenSecrets: secret(),
    cookieSessions: 'on'
  })
  app.get('/', async (_request, reply) => reply.type('text/html').send('<!doctype html><title>the app</title>'))
  app.post('/login', async (_request, reply) => await app.sessions.openWithCookie(guest, reply))
  // A server that renders a page: each of its parts asks for an access token with the browser's cookie.
  app.get('/rendered', async ({ headers }, reply) => {
    const ask = async (): Promise<Response> => {
      let answer: Response | undefined
      await until('an answer', async () => {
        answer = await fetch(`http://127.0.0.1:${port}/api/ps/session/refresh`, { method: 'POST', headers: { cookie: headers.cookie! } })
        return answer.status !== 500
      })
      return answer!
    }
    const answers = await Promise.all(Array.from({ length: REQUESTS }, ask))
    for (const answer of answers) reply.header('set-cookie', answer.headers.getSetCookie())
    return reply.type('text/html').send(`<!doctype html><title>${answers.map(({ status }) => status).join()}</title>`)
  })
  const port = Number(new URL(await app.listen({ host: '127.0.0.1', port: 0 })).port)
  const url = `http://localhost:${port}`
  const context = await openContext(t, browser)
  const page = await context.newPage()
  await page.goto(url)
  // A 500 means: try again.
  await until('the log-in', async () => await page.evaluate("fetch('/login', { method: 'POST' }).then(({ status }) => status)") === 200)
  return { record: `${redisPrefix}${guest.userId}`, app, url, context, page }
}

/** The browser's cookies of our name. */
const cookiesOf = async ({ context }: World): Promise<Array<{ value: string, domain: string, httpOnly: boolean, secure: boolean }>> =>
  (await context.cookies()).filter(({ name }) => name === '__Host-refresh')

/** The generation in the browser's only cookie. */
async function generationOf (world: World): Promise<number> {
  const [cookie, ...more] = await cookiesOf(world)
  t.same(more, [])
  return claimsOf(cookie!.value.slice(cookie!.value.indexOf('.') + 1)).gen
}

interface Answer { status: number, body: string, headers: string[] }

/** Refreshes in a page until the answer is no 500, which means: try again. A fetch that fails resolves to the name of its error. */
async function refresh (page: Page, url = ''): Promise<Answer | string> {
  let answer: Answer | string | undefined
  await until('an answer', async () => {
    answer = await page.evaluate<Answer | string>(`
      fetch('${url}/api/ps/session/refresh', { method: 'POST', credentials: 'include' }).then(
        async response => ({ status: response.status, body: await response.text(), headers: [...response.headers].map(String) }),
        error => error.name)`)
    return typeof answer === 'string' || answer.status !== 500
  })
  return answer!
}

/** Sends a form to a path of the app; resolves to the status of the answer that the page navigates to. */
async function submit (page: Page, url: string): Promise<number> {
  const [response] = await Promise.all([
    page.waitForResponse(url),
    page.waitForURL(url),
    page.evaluate(`document.body.innerHTML = '<form method="post" action="${url}"></form>'; document.forms[0].submit()`)
  ])
  return response.status()
}

t.test('script refreshes and logs out, and can\'t read the token', async t => {
  const world = await startWorld(t)
  const [cookie] = await cookiesOf(world)
  t.match(cookie, { domain: 'localhost', httpOnly: true, secure: true, sameSite: 'Strict', path: '/' })
  const answer = await refresh(world.page)
  t.match(answer, { status: 200 })
  const readable = await world.page.evaluate('JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }])') + JSON.stringify(answer)
  const [newest] = await cookiesOf(world)
  for (const { value } of [cookie!, newest!]) t.notOk(readable.includes(value.split('.').at(-1)!), 'no refresh token')
  t.same(Object.keys(JSON.parse((answer as { body: string }).body)), ['id', 'email', 'role', 'token'])
  await world.page.evaluate("document.cookie = '__Host-refresh=.a.b.c; Path=/; Secure'")
  t.same(await cookiesOf(world), [newest], 'script can\'t replace it')

  t.equal(await world.page.evaluate("fetch('/api/ps/session/logout', { method: 'POST' }).then(({ status }) => status)"), 204)
  t.same(await cookiesOf(world), [])
  t.same(await world.app.sessions.list(guest.userId), [])
  t.match(await refresh(world.page), { status: 400 })
})

t.test('a form and a fetch of another site get nothing, and harm nothing', async t => {
  const world = await startWorld(t)
  const before = await cookiesOf(world)
  const foreign = await servePages(t)
  const page = await world.context.newPage()
  const pages = [`http://127.0.0.1:${foreign}`, `http://localhost:${foreign}`]
  for (const origin of pages) {
    await page.goto(origin)
    t.equal(await refresh(page, world.url), 'TypeError', `${origin} reads no answer`)
    await page.evaluate(`fetch('${world.url}/api/ps/session/logout', { method: 'POST', credentials: 'include', mode: 'no-cors' })`)
    for (const path of ['refresh', 'logout']) {
      await page.goto(origin)
      t.equal(await submit(page, `${world.url}/api/ps/session/${path}`), 403, `${path} by a form of ${origin}`)
    }
  }
  t.same(await cookiesOf(world), before)
  t.match(await world.app.sessions.list(guest.userId), [{ generation: 1 }])
  t.match(await refresh(world.page), { status: 200 })
})

t.test('another host of the site can\'t toss a cookie to the app', async t => {
  const world = await startWorld(t)
  const before = await cookiesOf(world)
  const tossed = '__Host-refresh=.a.b.c; Path=/; Secure'
  const foreign = await servePages(t, app => {
    app.get('/toss', async (_request, reply) => reply.header('set-cookie', [`${tossed}; Domain=localhost`, '__Host-refresh=.a.b.c; Path=/api; Secure']).send(''))
  })
  const page = await world.context.newPage()
  await page.goto(`http://sub.localhost:${foreign}/toss`)
  await page.evaluate(`document.cookie = '${tossed}; Domain=localhost'`)
  t.same(await cookiesOf(world), before)
})

t.test(`${TABS} tabs refresh at once: one session, no log-out`, async t => {
  const world = await startWorld(t)
  const tabs = await Promise.all(Array.from({ length: TABS }, async () => {
    const tab = await world.context.newPage()
    await tab.goto(world.url)
    return tab
  }))
  await passAnHour(world)
  const answers = await Promise.all(tabs.map(async tab => await refresh(tab)))
  t.same(answers.map(answer => (answer as Answer).status), Array(TABS).fill(200))
  const [session, ...more] = await world.app.sessions.list(guest.userId)
  t.same(more, [])
  t.equal(session!.generation, 2)
  t.equal(await generationOf(world), 2, 'the browser has the newest token')
  t.match(await refresh(tabs[0]!), { status: 200 })
})

t.test('a tab that lost a race against a log-in of another tab clears no cookie', async t => {
  const world = await startWorld(t)
  const tab = await world.context.newPage()
  await tab.goto(world.url)
  // The request leaves with the old cookie; its answer comes after the log-in.
  let arrived!: () => void
  const isHeld = new Promise<void>(resolve => { arrived = resolve })
  let letGo!: () => void
  const mayGo = new Promise<void>(resolve => { letGo = resolve })
  await tab.route('**/api/ps/session/refresh', async route => {
    const headers = await route.request().allHeaders()
    arrived()
    await mayGo
    const response = await fetch(route.request().url(), { method: 'POST', headers: { cookie: headers.cookie! } })
    await route.fulfill({
      status: response.status,
      headers: Object.fromEntries([...response.headers].filter(([name]) => name !== 'content-length')),
      body: await response.text()
    })
  })
  const late = refresh(tab)
  await isHeld
  await world.page.evaluate("fetch('/login', { method: 'POST' }).then(response => response.text())")
  const newer = await cookiesOf(world)
  letGo()
  t.match(await late, { status: 400 }, 'the log-in has replaced the session of this device')
  t.same(await cookiesOf(world), newer)
  t.match(await refresh(tab.context().pages()[0]!), { status: 200 })
})

t.test(`a rendered page that sends ${REQUESTS} requests with one cookie ends with one session`, async t => {
  const world = await startWorld(t)
  await passAnHour(world)
  await world.page.goto(`${world.url}/rendered`)
  t.equal(await world.page.title(), Array(REQUESTS).fill(200).join())
  const [session, ...more] = await world.app.sessions.list(guest.userId)
  t.same(more, [])
  t.equal(session!.generation, 2)
  t.equal(await generationOf(world), 2)
  await world.page.goto(world.url)
  t.match(await refresh(world.page), { status: 200 })
})
