import { build as bundle } from 'esbuild'
import type { BrowserContext, Page, Route } from 'playwright-core'
import t, { type Test } from 'tap'
import { openContext, startChromium } from '../support/chromium.ts'
import { build, claimsOf, guest, startRedis, type Service, type TokensBody } from '../support/helper.ts'

/** refresh-token-client in the tabs of a real browser, with the real service: no lost or cut answer logs a tab out. */

const TABS = 10
const CALLS = 100

/** A secure context, which Web Locks need. No server listens there: the test answers every request itself. */
const ORIGIN = 'http://localhost'

const redis = await startRedis(t)
const browser = await startChromium(t)
const { outputFiles } = await bundle({ entryPoints: ['packages/client/src/index.ts'], bundle: true, format: 'esm', write: false })

/** The page: the client, and an API that has 401 for the access token of the log-in, once the test lets it answer. */
const script = `${outputFiles[0]!.text}
  const mayAnswer = new Promise(resolve => { globalThis.answer = resolve })
  globalThis.session = createSession({
    refreshUrl: '/api/ps/refresh', deviceId: '${guest.deviceId}', storage: webStorage(), retryFor: 0,
    fetch: async (input, init) => {
      if (input !== '/api/me') return await fetch(input, init)
      await mayAnswer
      return new Response(null, { status: init.headers.get('Authorization') === 'Bearer ' + localStorage.refused ? 401 : 200 })
    }
  })`

interface World {
  service: Service
  context: BrowserContext
  /** Sees each refresh; answers it with the service's answer unless `intercept` has done so. */
  intercept: (route: Route, forward: () => Promise<void>) => Promise<void>
  /** Refreshes so far. */
  sent: Array<{ refreshToken: string, key: string | undefined }>
  /** Opens a tab and waits until it has the client. */
  open (): Promise<Page>
  stored (tab: Page): Promise<TokensBody & { key?: string }>
}

/** A browser without stored data, in front of a service. */
async function startWorld (t: Test, hasLocks: boolean): Promise<World> {
  const service = await build(t, redis)
  const context = await openContext(t, browser)
  if (!hasLocks) await context.addInitScript("Object.defineProperty(navigator, 'locks', { value: undefined })")
  const world: World = {
    service,
    context,
    intercept: async (_route, forward) => { await forward() },
    sent: [],
    async open () {
      const tab = await context.newPage()
      await tab.goto(ORIGIN)
      await tab.waitForFunction('globalThis.session !== undefined')
      return tab
    },
    stored: async tab => JSON.parse(await tab.evaluate<string>("localStorage.getItem('session')"))
  }
  await context.route(`${ORIGIN}/**`, async route => {
    await route.fulfill({ contentType: 'text/html', body: `<script type="module">${script}</script>` })
  })
  await context.route('**/api/ps/refresh', async route => {
    const { refreshToken, deviceId } = route.request().postDataJSON()
    const key = route.request().headers()['idempotency-key']
    world.sent.push({ refreshToken, key })
    await world.intercept(route, async () => {
      const { statusCode: status, body } = await service.refresh(refreshToken, deviceId, { 'idempotency-key': key! })
      await route.fulfill({ status, body, contentType: 'application/json' }).catch(() => {}) // the tab may be gone
    })
  })
  return world
}

/** Logs in, opens further tabs, and makes the API refuse the access token. */
async function startTabs (world: World, count: number): Promise<Page[]> {
  const tokens = await world.service.open()
  const first = await world.open()
  await first.evaluate(`session.logIn(${JSON.stringify(tokens)})`)
  // Two access tokens of one second differ by their claims.
  await world.service.call('PATCH', '/internal/users/1', { userClaims: { plan: 'gold' } })
  await first.evaluate(`localStorage.refused = '${tokens.token}'`)
  return [first, ...await Promise.all(Array.from({ length: count - 1 }, world.open))]
}

/** Calls the API in each tab, many times at once, and then lets the API answer in all tabs. Returns how often each outcome came. */
async function callAll (tabs: Page[], count: number, answered = () => {}): Promise<Array<Record<string, number>>> {
  await Promise.all(tabs.map(async tab => {
    await tab.evaluate(`globalThis.outcomes = Promise.all(
      Array.from({ length: ${count} }, () => session.fetch('/api/me').then(({ status }) => status, err => err.code ?? err.message))
    ); 0`)
  }))
  await Promise.all(tabs.map(async tab => { await tab.evaluate('answer()') }))
  answered()
  return await Promise.all(tabs.map(async tab => {
    const outcomes = await tab.evaluate<Array<string | number>>('outcomes')
    return Object.fromEntries([...new Set(outcomes)].map(name => [name, outcomes.filter(outcome => outcome === name).length]))
  }))
}

const call = async (tab: Page, count: number): Promise<Record<string, number>> => (await callAll([tab], count))[0]!

/** The user's sessions, from the service. */
async function generations ({ service }: World): Promise<number[]> {
  return (await service.call('GET', '/internal/users/1/sessions')).json().sessions.map(({ generation }: { generation: number }) => generation)
}

/** Moves the last rotation an hour into the past, so that the retry window has closed. */
async function passAnHour ({ service }: World): Promise<void> {
  const record = `${service.config.REDIS_PREFIX}1`
  for (const [field, value] of Object.entries(await redis.client.hgetall(record))) {
    if (!field.startsWith('s:')) continue
    const [gen, created, rotated, ...others] = value.split(':')
    await redis.client.hset(record, field, [gen, created, Number(rotated) - 3600, ...others].join(':'))
  }
}

for (const hasLocks of [true, false]) {
  t.test(hasLocks ? 'with Web Locks' : 'without Web Locks', async t => {
    t.test(`${TABS} tabs get ${CALLS} 401s each: one rotation, no log-out`, async t => {
      const world = await startWorld(t, hasLocks)
      const tabs = await startTabs(world, TABS)
      t.equal(await tabs[0]!.evaluate('navigator.locks !== undefined'), hasLocks)
      const before = await world.stored(tabs[0]!)
      // No answer before every tab has been refused, so that each tab that does not wait for another one sends its own request.
      let [inFlight, together, heldAt] = [0, 0, 0]
      let allRefused!: () => void
      const refused = new Promise<void>(resolve => { allRefused = resolve })
      world.intercept = async (_route, forward) => {
        // A tab waits at most five seconds for another one.
        if (inFlight++ > 0 && performance.now() - heldAt < 4000) together++
        heldAt = performance.now()
        await refused
        await forward()
        inFlight--
      }
      const outcomes = await callAll(tabs, CALLS, allRefused)
      t.same(outcomes, tabs.map(() => ({ 200: CALLS })))
      t.same(await generations(world), [2])
      t.same([...new Set(world.sent.map(({ refreshToken }) => refreshToken))], [before.refreshToken])
      t.comment(`${world.sent.length} requests`)
      t.ok(world.sent.length <= TABS, 'at most one request a tab')
      if (hasLocks) t.equal(together, 0, 'a tab waits for the refresh of another')
      for (const tab of tabs) t.equal((await world.stored(tab)).refreshToken, (await world.stored(tabs[0]!)).refreshToken)
      t.equal(claimsOf((await world.stored(tabs[0]!)).refreshToken).gen, 2)
    })

    for (const [name, isRotated] of [['request', false], ['answer', true]] as const) {
      t.test(`every tab loses its ${name}, and tries again an hour later: no log-out`, async t => {
        const world = await startWorld(t, hasLocks)
        const tabs = await startTabs(world, TABS)
        world.intercept = async route => {
          const { refreshToken, key } = world.sent.at(-1)!
          if (isRotated) await world.service.refresh(refreshToken, guest.deviceId, { 'idempotency-key': key! })
          await route.abort()
        }
        t.same(await callAll(tabs, 3), tabs.map(() => ({ unavailable: 3 })))
        await passAnHour(world)
        t.same(await generations(world), [isRotated ? 2 : 1])
        t.equal(new Set(world.sent.map(({ key }) => key)).size, 1, 'all tabs have sent one key')

        world.intercept = async (_route, forward) => { await forward() }
        await Promise.all(tabs.map(async tab => { await tab.reload() }))
        for (const tab of tabs) await tab.waitForFunction('globalThis.session !== undefined')
        t.same(await callAll(tabs, 3), tabs.map(() => ({ 200: 3 })))
        t.same(await generations(world), [2])
      })

      t.test(`the tab is killed before its ${name} arrives, and opened an hour later: still logged in`, async t => {
        const world = await startWorld(t, hasLocks)
        const [tab] = await startTabs(world, 1)
        const killed = new Promise<void>((resolve, reject) => {
          world.intercept = async () => {
            const { refreshToken, key } = world.sent.at(-1)!
            if (isRotated) await world.service.refresh(refreshToken, guest.deviceId, { 'idempotency-key': key! })
            await tab!.close().then(resolve, reject)
          }
        })
        call(tab!, 1).catch(() => {}) // ends with the tab
        await killed
        await passAnHour(world)
        world.intercept = async (_route, forward) => { await forward() }

        await world.context.clock.setFixedTime(Date.now() + 3_600_000)
        const opened = await world.open()
        t.same(await call(opened, 1), { 200: 1 })
        t.equal(world.sent.length, 2)
        t.same(world.sent[1], world.sent[0], 'the same token and key')
        t.same(await generations(world), [2])
        t.not((await world.stored(opened)).key, world.sent[0]!.key, 'the next token has no key, or another one')
      })
    }

    t.test('a log-out in one tab is the log-out of all, and the service has ended the session', async t => {
      const world = await startWorld(t, hasLocks)
      const [one, two] = await startTabs(world, 2)
      await two!.evaluate('globalThis.heard = []; session.subscribe(event => { heard.push(event) })')
      await world.context.route('**/api/ps/logout', async route => {
        const { refreshToken, deviceId } = route.request().postDataJSON()
        await route.fulfill({ status: (await world.service.logOut(refreshToken, deviceId)).statusCode })
      })
      await one!.evaluate('session.logOut()')
      await two!.waitForFunction('heard.length > 0')
      t.same(await two!.evaluate('heard'), [{ type: 'logged-out', profile: null }])
      t.same(await call(two!, 1), { 'logged-out': 1 })
      t.same(await generations(world), [])
    })
  })
}
