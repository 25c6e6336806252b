import { execFileSync, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { cp, readdir, readFile, rm, symlink } from 'node:fs/promises'
import { createServer as createHttpServer } from 'node:http'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import type { BrowserContext, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { linkPackages, putBuild } from '../support/build.ts'
import { openContext, startChromium } from '../support/chromium.ts'
import { claimsOf, tempFolder, type TokensBody } from '../support/helper.ts'

/** The example as `npm run example` runs it, in a real browser. */

const folder = await copyRepository(t)
const command = await compile()
const browser = await startChromium(t)

/** Copies the repository, so that compiling disturbs no other test. No links: Node and tsc would resolve them to the original files. */
async function copyRepository (t: Test): Promise<string> {
  const folder = await tempFolder(t)
  for (const name of ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'LICENSE', 'src', 'plugins', 'routes', 'packages', 'examples']) {
    await cp(name, join(folder, name), { recursive: true, filter: source => !source.endsWith('.data') })
  }
  await linkPackages(folder)
  for (const name of await readdir('packages')) {
    await rm(join(folder, 'node_modules', `refresh-token-${name}`))
    await symlink(join(folder, 'packages', name), join(folder, 'node_modules', `refresh-token-${name}`))
  }
  return folder
}

/** Builds what package.json's command builds, without its set-up; returns the rest of that command. */
async function compile (): Promise<string> {
  const { scripts } = JSON.parse(await readFile('package.json', 'utf8'))
  const [, setup, rest] = /^(node scripts\/setup.mjs packages redis) && npm run build && (exec node .*)$/.exec(scripts.example)!
  if (setup === undefined) throw new Error(`another command than expected: ${scripts.example}`)
  const PATH = `${resolve('node_modules/.bin')}:${process.env.PATH}`
  await putBuild(folder)
  execFileSync('npm', ['run', 'build', '--workspaces'], { cwd: folder, env: { PATH }, stdio: 'pipe' })
  return rest!
}

interface Run {
  /** Everything printed so far. */
  output: { text: string }
  /** Resolves when `text` has been printed. */
  printed (text: string): Promise<void>
  end (signal: NodeJS.Signals): void
  /** Resolves with the exit code once every process of the example has ended, because they share its standard error. */
  closed: Promise<number | null>
}

async function run (t: Test, env: Record<string, string> = {}): Promise<Run> {
  const child = spawn('sh', ['-c', command], {
    cwd: folder,
    env: { PATH: process.env.PATH, PORT: '0', DATA_DIR: await tempFolder(t), ...env },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const output = { text: '' }
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', chunk => { output.text += chunk })
  const closed = once(child, 'close').then(([code]) => code)
  t.teardown(async () => {
    child.kill('SIGTERM')
    await closed
  })
  const printed = async (text: string): Promise<void> => {
    while (!output.text.includes(text)) {
      await Promise.race([once(child.stdout, 'data'), closed.then(() => { throw new Error(`ended before «${text}»: ${output.text}`) })])
    }
  }
  return { output, printed, end: signal => { child.kill(signal) }, closed }
}

interface Example extends Run {
  url: string
  email: string
  password: string
  /** A request to the internal API. */
  internal (method: string, path: string, body?: object): Promise<number>
}

async function startExample (t: Test, env: Record<string, string> = {}): Promise<Example> {
  const DATA_DIR = await tempFolder(t)
  const running = await run(t, { DATA_DIR, ...env })
  await running.printed('Ctrl-C')
  const [, url, email, password, internalUrl] =
    /The page: +(\S+)\nLog in with: +(\S+) and (\S+)\nInternal API: +(\S+) /.exec(running.output.text)!
  const [, key] = /INTERNAL_API_KEY=(.+)/.exec(await readFile(join(DATA_DIR, 'secrets.env'), 'utf8'))!
  return {
    ...running,
    url: url!,
    email: email!,
    password: password!,
    internal: async (method, path, body) => (await fetch(`${internalUrl}/internal${path}`, {
      method,
      headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body)
    })).status
  }
}

/** Two tabs of a browser without stored data. */
interface Tabs {
  context: BrowserContext
  one: Page
  two: Page
  /** Number of refreshes of both tabs that got an answer below 500; a tab repeats any other. */
  refreshes (): number
}

async function openTabs (t: Test, { url }: Example): Promise<Tabs> {
  const context = await openContext(t, browser)
  let count = 0
  context.on('response', response => { if (response.url().endsWith('/api/ps/refresh') && response.status() < 500) count++ })
  const [one, two] = [await context.newPage(), await context.newPage()]
  for (const tab of [one, two]) await tab.goto(url)
  return { context, one, two, refreshes: () => count }
}

/** Presses a button and returns the message that the page shows next. */
async function press (tab: Page, name: string): Promise<string> {
  await tab.getByRole('button', { name, exact: true }).click()
  return await message(tab)
}

async function message (tab: Page): Promise<string> {
  const output = tab.locator('output')
  await output.filter({ hasNotText: /^…?$/ }).waitFor()
  return await output.innerText()
}

async function logIn (tab: Page, { email, password }: { email: string, password: string }): Promise<string> {
  await tab.getByLabel('E-mail').fill(email)
  await tab.getByLabel('Password').fill(password)
  return await press(tab, 'Log in')
}

/** `PICTURES=1` renews the picture of the documentation. */
async function savePicture (tab: Page): Promise<void> {
  if (process.env.PICTURES === undefined) return
  await tab.setViewportSize({ width: 720, height: 600 })
  await tab.screenshot({ path: resolve('docs/images/my-devices.png') })
}

const shows = async (tab: Page, what: 'form' | 'main'): Promise<void> => {
  await tab.locator(what).waitFor()
  await tab.locator(what === 'form' ? 'main' : 'form').waitFor({ state: 'hidden' })
}

/** Returns the session in localStorage, which all tabs share. */
async function stored (tab: Page): Promise<TokensBody> {
  return JSON.parse(await tab.evaluate("localStorage.getItem('session')"))
}

/** Makes the access token of all tabs invalid, so that the API refuses it as if it had expired. */
async function spoilAccessToken (tab: Page): Promise<void> {
  const session = JSON.stringify({ ...await stored(tab), token: 'spoilt' })
  await tab.evaluate(`localStorage.setItem('session', ${JSON.stringify(session)})`)
}

/** Waits until the API answers an access token with `expected`, after the token expires or an event arrives. */
async function apiAnswers ({ url }: Example, expected: number, token: string, path = 'api/me'): Promise<void> {
  const ask = async (): Promise<Response> => await fetch(url + path, { headers: { Authorization: `Bearer ${token}` } })
  while ((await ask()).status !== expected) await delay(20)
}

/** Listens until the test ends. */
async function address (t: Test, server: Server): Promise<string> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => { server.close() })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const me = '200 {"email":"ada@example.com","role":"USER"}'

t.test('two tabs: both continue when the access token expires, and a log-out in one logs out both', async t => {
  // Seconds: short enough to wait for, long enough for a slow machine to use a fresh token.
  const example = await startExample(t, { ACCESS_TOKEN_TTL: '15' })
  const { context, one, two } = await openTabs(t, example)
  t.equal(await logIn(one, example), 'Welcome.')
  for (const tab of [one, two]) {
    await shows(tab, 'main')
    t.equal(await press(tab, 'Who am I?'), me)
  }

  const before = await stored(one)
  // Holds the first refresh until both tabs need one, so that a tab that does not wait for the other sends its own meanwhile.
  let bothCalled!: () => void
  const called = new Promise<void>(resolve => { bothCalled = resolve })
  const sent: string[] = []
  let inFlight = 0
  let [together, heldAt] = [0, 0]
  await context.route('**/api/ps/refresh', async route => {
    // A tab waits at most five seconds for another one.
    if (inFlight++ > 0 && performance.now() - heldAt < 4000) together++
    heldAt = performance.now()
    sent.push(route.request().postDataJSON().refreshToken)
    await called
    for (const tab of [one, two]) await tab.evaluate('0') // by now the page knows
    const response = await route.fetch()
    inFlight--
    await route.fulfill({ response })
  })
  await apiAnswers(example, 401, before.token)
  for (const tab of [one, two]) await tab.evaluate("document.querySelector('[value=\"/api/me\"]').click()")
  bothCalled()
  t.same(await Promise.all([message(one), message(two)]), [me, me])
  t.equal(together, 0, 'a tab waits for the refresh of the other')
  // The browser may show the new tokens late to the second tab, which then sends the same refresh token again.
  t.same([...new Set(sent)], [before.refreshToken])
  t.ok(sent.length <= 2)
  t.equal(claimsOf((await stored(two)).refreshToken).gen - claimsOf(before.refreshToken).gen, 1, 'one new generation for both')

  t.equal(await press(one, 'Log out'), 'Good-bye.')
  for (const tab of [one, two]) {
    await shows(tab, 'form')
    t.equal(await stored(tab), null)
  }
  example.end('SIGINT')
  t.equal(await example.closed, 0)
})

t.test('the page', async t => {
  const example = await startExample(t)

  t.test('a wrong password and an unknown address get the same message', async t => {
    const { one } = await openTabs(t, example)
    for (const credentials of [{ ...example, password: 'wrong' }, { ...example, email: 'eve@example.com' }]) {
      t.equal(await logIn(one, credentials), 'Wrong e-mail or password.')
      await shows(one, 'form')
    }
    t.equal(await logIn(one, { ...example, email: 'Ada@Example.com' }), 'Welcome.', 'the case of an address is ignored')
  })

  t.test('after a 500, a proxy\'s 400 or no answer, the tab keeps its token, and its next call refreshes', async t => {
    const { context, one, two } = await openTabs(t, example)
    // The page's own calls would refresh.
    await context.route(/\/api\/(events|ps\/sessions)$/, async route => await route.abort())
    await logIn(one, example)
    for (const trouble of [{ status: 500, json: { code: 500, message: 'Internal Error' } }, { status: 400, body: 'Bad Request' }, undefined]) {
      await spoilAccessToken(one)
      const before = await stored(one)
      await context.route('**/api/ps/refresh', async route => await (trouble === undefined ? route.abort() : route.fulfill(trouble)))
      t.equal(await press(one, 'Who am I?'), 'No answer just now. Please try again.')
      await shows(one, 'main')
      const { key, ...rest } = await stored(one) as TokensBody & { key: string }
      t.same(rest, before)
      t.match(key, /^[\da-f]{32}$/, 'it has stored the key of the attempt')

      const refreshed = one.waitForResponse(response => response.url().endsWith('/api/ps/refresh') && response.status() === 200)
      await context.unroute('**/api/ps/refresh')
      t.equal(await press(one, 'Who am I?'), me)
      t.equal((await refreshed).request().headers()['idempotency-key'], key, 'and repeats it')
      for (const tab of [one, two]) t.equal(await press(tab, 'Who am I?'), me)
      t.notOk('key' in await stored(one))
      t.equal(claimsOf((await stored(one)).refreshToken).gen, claimsOf(before.refreshToken).gen + 1)
    }
  })

  t.test('an ended session shows the log-in in every tab at once, and a new log-in opens a new session', async t => {
    const { one, two, refreshes } = await openTabs(t, example)
    await logIn(one, example)
    await shows(two, 'main')
    t.equal(await example.internal('DELETE', '/users/1/sessions'), 204)
    for (const tab of [one, two]) await shows(tab, 'form')
    // The browser may show late to the second tab that the session is gone, so that it asks for itself.
    t.ok([1, 2].includes(refreshes()))
    t.equal(await logIn(two, example), 'Welcome.')
    t.equal(await press(one, 'Who am I?'), me)
  })

  t.test('a call is not repeated when its user has logged out or another user has logged in meanwhile', async t => {
    const { context, one, two, refreshes } = await openTabs(t, example)
    // The page's own calls would refresh.
    await context.route(/\/api\/(events|ps\/sessions)$/, async route => await route.abort())
    for (const next of ['null', '{"id":2,"email":"eve@example.com","role":"USER","token":"of another user","refreshToken":"of another user"}']) {
      await logIn(one, example)
      await context.route('**/api/me', async route => {
        await one.evaluate(`localStorage.setItem('session', '${next}')`)
        await route.fulfill({ status: 401, json: {} })
      }, { times: 1 })
      t.equal(await press(two, 'Who am I?'), 'Please log in.')
      await one.evaluate("localStorage.removeItem('session')")
      await one.reload()
    }
    t.equal(refreshes(), 0)
  })

  t.test('a log-out ends the session for every service', async t => {
    const { one, two } = await openTabs(t, example)
    await logIn(one, example)
    const { token } = await stored(two)
    await apiAnswers(example, 200, token)
    t.equal(await press(two, 'Log out'), 'Good-bye.')
    await apiAnswers(example, 401, token)
  })

  t.test('a log-out deletes the tokens even if the server can\'t be reached', async t => {
    const { context, one, two } = await openTabs(t, example)
    await logIn(one, example)
    await shows(two, 'main')
    await context.route('**/logout', async route => await route.abort())
    t.match(await press(one, 'Log out'), /^Logged out here. The service gave no answer/)
    for (const tab of [one, two]) await shows(tab, 'form')
    t.equal(await stored(two), null)
  })

  t.test('shows the devices, ends one and all others, and shows at once what another device did', async t => {
    t.equal(await example.internal('DELETE', '/users/1/sessions'), 204, 'ends the sessions of the earlier tests')
    const phone = (await openTabs(t, example)).one
    const laptop = (await openTabs(t, example)).one
    const tablet = (await openTabs(t, example)).one
    await logIn(phone, example)
    await logIn(laptop, example)
    const devices = (tab: Page) => tab.getByRole('listitem')
    await devices(phone).nth(1).waitFor()
    t.equal(await phone.locator('mark:visible').count(), 1)
    t.match(await devices(phone).filter({ has: phone.locator('mark:visible') }).innerText(), /^Chrome on Linux this one\n/)
    await savePicture(phone)

    await logIn(tablet, example)
    await devices(phone).nth(2).waitFor()
    const other = devices(phone).getByRole('button', { name: 'Log out Chrome on Linux', exact: true })
    t.equal(await other.count(), 2, 'this device has no button')
    await other.first().click()
    t.equal(await message(phone), 'Logged out there.')
    await devices(phone).nth(2).waitFor({ state: 'detached' })

    t.equal(await press(phone, 'Log out all other devices'), 'Logged out there.')
    for (const tab of [laptop, tablet]) await shows(tab, 'form')
    await devices(phone).nth(1).waitFor({ state: 'detached' })
    t.equal(await press(phone, 'Who am I?'), me)
  })

  t.test('a changed role takes effect at once', async t => {
    const { one } = await openTabs(t, example)
    await logIn(one, example)
    t.equal(await press(one, 'Administration'), '403 {"code":403,"message":"Forbidden"}')
    t.equal(await example.internal('PATCH', '/users/1', { role: 'ADMIN' }), 204)
    await apiAnswers(example, 200, (await stored(one)).token, 'api/admin')
    t.equal(await press(one, 'Administration'), '200 {"secret":"for administrators"}')
  })

  t.test('invalid log-ins get a 400', async t => {
    const { url, email, password } = example
    const bodies = [undefined, 'no JSON', '{}', JSON.stringify({ email, password }), JSON.stringify({ email, password, deviceId: ' ' })]
    for (const body of bodies) {
      const response = await fetch(`${url}login`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: body ?? null })
      t.equal(response.status, 400, `${body}`)
    }
    t.equal((await fetch(`${url}internal/users/1/sessions`)).status, 404, 'this origin does not serve the internal API')
  })

  t.test('SIGTERM ends the example, and all these requests logged nothing', async t => {
    example.end('SIGTERM')
    t.equal(await example.closed, 0)
    t.match(example.output.text, /Ctrl-C ends it all.\n$/)
  })
})

t.test('the example ends', async t => {
  t.test('when its terminal is closed', async t => {
    const { end, closed } = await startExample(t)
    end('SIGHUP')
    t.equal(await closed, 0)
  })

  t.test('when the port is taken', async t => {
    const { output, closed } = await run(t, { PORT: new URL(await address(t, createServer())).port })
    t.equal(await closed, 1)
    t.match(output.text, /^The page can't be served: .*EADDRINUSE/)
  })

  t.test('when one of its processes ends', async t => {
    const { output, closed } = await run(t, { ACCESS_TOKEN_TTL: 'wrong' })
    t.equal(await closed, 1)
    t.match(output.text, /ACCESS_TOKEN_TTL must be whole seconds[^]*dist\/src\/server.js has ended, and the example with it\.\n$/)
  })
})

t.test('the gateway answers 502 when a service fails, ends a request with either side, and keeps serving', async t => {
  const { createGateway } = await import(pathToFileURL(join(folder, 'examples/gateway.mjs')).href)
  const left = new EventEmitter()
  const service = createHttpServer((request, response) => {
    response.on('close', () => left.emit(request.url!))
    if (request.url === '/early') response.destroy()
    else response.write('half', () => { if (request.url === '/late') response.destroy() })
  })
  const gateway = createGateway([['/', await address(t, service)]])
  const url = await address(t, gateway)

  t.equal((await fetch(`${url}/early`)).status, 502)
  const late = await fetch(`${url}/late`)
  t.equal(late.status, 200)
  await t.rejects(late.text())

  const impatience = new AbortController()
  await fetch(`${url}/slow`, { signal: impatience.signal })
  const hasLeft = once(left, '/slow')
  impatience.abort()
  await hasLeft
  t.match(await (await fetch(url)).text(), '<!doctype html>')
})

t.test('the log-in, the API and the page have less than 300 lines', async t => {
  const files = ['login.mjs', 'api.mjs', ...(await readdir('examples/page')).map(name => `page/${name}`)]
  const texts = await Promise.all(files.map(async name => await readFile(join('examples', name), 'utf8')))
  t.ok(texts.join('\n').split('\n').filter(line => line.trim() !== '').length < 300)
})
