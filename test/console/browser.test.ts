import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import type { Page } from 'playwright-core'
import t from 'tap'
import { openContext, startChromium } from '../support/chromium.ts'
import { build, claimsOf, startRedis } from '../support/helper.ts'
import { consoleKey, withConsole } from './helper.ts'

/** The console in Chromium: accessibility (axe-core), narrow and dark screens, keyboard, the live feed. `PICTURES=1` renews docs/images. */

const redis = await startRedis(t)
const service = await withConsole(t, redis, { REFRESH_RETRY_WINDOW: '0' })
await service.internal.listen({ port: 0, host: '127.0.0.1' })
const url = `http://127.0.0.1:${(service.internal.server.address() as AddressInfo).port}/console`
const browser = await startChromium(t)
const context = await openContext(t, browser, { viewport: { width: 1100, height: 800 } })
const page = await context.newPage()
const complaints: string[] = []
page.on('console', message => { if (message.type() === 'error') complaints.push(message.text()) })
page.on('pageerror', err => { complaints.push(err.message) })

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

const pictures: Record<string, string> = {
  'now light 1100': 'console.png', 'user dark 1100': 'console-user.png', 'user dark 360': 'console-narrow.png'
}

/** Checks the page light and dark, wide and 360 pixels narrow. */
async function inspect (t: Tap, page: Page, name: string): Promise<void> {
  await page.evaluate(axe)
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const width of [1100, 360]) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      await page.setViewportSize({ width, height: 800 })
      const violations = await page.evaluate('axe.run().then(({ violations }) => violations.map(({ id, nodes }) => id + ": " + nodes.map(({ html }) => html).join()))')
      t.same(violations, [], `${name}, ${colorScheme}, ${width} pixels`)
      t.same(await page.evaluate('[...document.querySelectorAll(\'body *\')].filter(element => element.getBoundingClientRect().right > innerWidth + 1 && element.closest(\'.skip\') === null).map(({ outerHTML }) => outerHTML.slice(0, 80))'), [], `${name} needs no scrolling to the side at ${width} pixels`)
      const picture = pictures[`${name} ${colorScheme} ${width}`]
      if (process.env.PICTURES !== undefined && picture !== undefined) await page.screenshot({ path: `docs/images/${picture}` })
    }
  }
  await page.setViewportSize({ width: 1100, height: 800 })
}

type Tap = Pick<typeof t, 'same' | 'ok'>

const press = async (name: string): Promise<void> => { await page.getByRole('button', { name, exact: true }).click() }

t.test('logs in, by keyboard', async t => {
  await page.goto(url)
  await inspect(t, page, 'login')
  await page.getByLabel('API key').fill('wrong')
  await page.keyboard.press('Enter')
  await page.getByRole('alert').waitFor()
  await inspect(t, page, 'login-wrong')
  await page.getByLabel('API key').focus()
  await page.keyboard.type(consoleKey)
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Now' }).waitFor()
})

t.test('shows the last hour and the live feed', async t => {
  const feed = page.getByRole('list', { name: 'Events' }).getByRole('listitem')
  await page.getByText('Live.', { exact: true }).waitFor()
  const { REDIS_PREFIX } = service.config
  const other = await build(t, redis, { REDIS_PREFIX, REFRESH_RETRY_WINDOW: '0' })
  const first = await other.open({ userId: 42, label: 'Pixel 9', deviceId: 'phone', userClaims: { plan: 'gold' }, sessionClaims: { amr: ['pwd', 'otp'] } })
  await feed.filter({ hasText: 'Opened' }).waitFor()
  t.match(await feed.first().innerText(), new RegExp(`Opened\\s+User 42\\s*${claimsOf(first.token).sid}`), 'through another process')
  for (let n = 0; n < 5; n++) {
    const { userId } = { userId: 100 + n }
    const { refreshToken } = await service.open({ userId, deviceId: 'phone' })
    await service.refresh(refreshToken, 'phone')
  }
  await other.refresh(first.refreshToken, 'phone')
  await other.refresh(first.refreshToken, 'phone')
  await feed.filter({ hasText: 'Reuse' }).waitFor()
  await service.call('PATCH', '/internal/users/100', { role: 'ADMIN' })
  await feed.filter({ hasText: 'Profile changed' }).waitFor()

  await page.getByLabel('Opened').uncheck()
  t.equal(await feed.filter({ hasText: 'Opened' }).filter({ visible: true }).count(), 0, 'the filter hides')
  t.equal(await feed.filter({ hasText: 'Reuse' }).filter({ visible: true }).count(), 1)
  await page.getByLabel('Opened').check()
  t.equal(await feed.filter({ hasText: 'Opened' }).filter({ visible: true }).count(), 6, 'and shows again')

  await page.goto(url)
  await page.getByText('Live.', { exact: true }).waitFor()
  t.match(await page.getByRole('heading', { name: 'Refreshes', exact: true }).locator('..').innerText(), /\n5\n?/)
  for (const userId of [12, 31]) {
    const { refreshToken } = await service.open({ userId })
    await service.call('PATCH', `/internal/users/${userId}`, { role: 'ADMIN' })
    await service.logOut(refreshToken)
  }
  const { refreshToken } = await service.open({ userId: 77, label: 'Phone' })
  await service.refresh(refreshToken)
  await service.refresh(refreshToken)
  await feed.filter({ hasText: 'Reuse' }).waitFor()
  await page.getByRole('heading', { name: 'Reuse: a copied token' }).locator('..').getByText('1', { exact: true }).waitFor() // the tiles are renewed
  await page.getByText('Refreshes by outcome').click()
  await inspect(t, page, 'now')
})

t.test('says when the feed may have missed something', async () => {
  const feed = page.getByRole('list', { name: 'Events' }).getByRole('listitem')
  await redis.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
  await feed.filter({ hasText: /Events from .* to .* may be missing/ }).waitFor()
  await page.getByText('Live.', { exact: true }).waitFor()
  await service.open({ userId: 43, label: 'Later' })
  await feed.filter({ hasText: 'User 43' }).waitFor()
  await feed.getByRole('link', { name: 'User 43' }).click()
  await page.getByRole('heading', { name: 'User 43' }).waitFor()
})

t.test('finds a user, and ends sessions after a question', async t => {
  const { token } = await service.open({ userId: 42, label: 'Pixel 9', deviceId: 'phone', userClaims: { plan: 'gold' }, sessionClaims: { amr: ['pwd', 'otp'] } })
  await service.open({ userId: 42, label: 'Laptop', deviceId: 'laptop', userClaims: { plan: 'gold' } })
  await service.open({ userId: 42, label: 'A label of up to forty-eight bytes, which wraps', deviceId: 'tablet' })
  await page.getByLabel('User id').fill('42')
  await press('Search')
  await page.getByRole('heading', { name: '3 sessions' }).waitFor()
  await inspect(t, page, 'user')
  await page.getByRole('link', { name: 'End this: Laptop' }).click()
  await page.getByText('End the session “Laptop” of user 42?').waitFor()
  await inspect(t, page, 'question')
  await page.getByRole('link', { name: 'Cancel' }).click()
  await page.getByRole('heading', { name: '3 sessions' }).waitFor()
  await page.getByRole('link', { name: 'End all others than Pixel 9' }).click()
  await press('End all others')
  await page.getByRole('status').filter({ hasText: 'Every other session has ended.' }).waitFor()
  t.same((await service.call('GET', '/internal/users/42/sessions')).json().sessions.map(({ sid }: { sid: string }) => sid), [claimsOf(token).sid])
  await page.getByRole('link', { name: 'End all' }).click()
  await press('End all sessions')
  await page.getByRole('status').filter({ hasText: 'Every session has ended.' }).waitFor()
  await page.goto(`${url}/user?id=-`)
  await inspect(t, page, 'no-user')
})

t.test('the console works under its strict Content-Security-Policy', async t => {
  // Chromium also reports two answers that the tests want: 401 to the wrong key and 400 to the invalid user id.
  t.same(complaints.filter(text => !/status of 40[01]/.test(text)), [])
})

t.test('closing the service ends the feed', async () => {
  await page.goto(url)
  await page.getByText('Live.', { exact: true }).waitFor()
  const closed = once(service.internal.server, 'close')
  await service.internal.close()
  await closed
  await page.getByText('Not connected to the events').waitFor()
})
