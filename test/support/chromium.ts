import { spawnSync } from 'node:child_process'
import { chromium, type Browser, type BrowserContext, type BrowserContextOptions } from 'playwright-core'
import type { Test } from 'tap'

/** Starts the machine's Chromium with a new profile; it ends with the test. It makes no requests of its own. */
export async function startChromium (t: Test): Promise<Browser> {
  const names = ['chromium', 'chromium-browser', 'google-chrome']
  const found = spawnSync('sh', ['-c', names.map(name => `command -v ${name}`).join(' || ')], { encoding: 'utf8' })
  const browser = await chromium.launch({
    executablePath: found.stdout.trim(),
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync',
      // Without a screen Chromium draws one frame a second, and a click waits until its target has not moved for two frames.
      '--disable-frame-rate-limit'
    ]
  })
  t.teardown(async () => await browser.close())
  return browser
}

/** Milliseconds for one step of a page. Opening ten tabs at once takes a busy machine more than Playwright's 30 seconds. */
const STEP = 120_000

/** Opens a context without stored data; it closes with the test. */
export async function openContext (t: Test, browser: Browser, options: BrowserContextOptions = {}): Promise<BrowserContext> {
  const context = await browser.newContext(options)
  context.setDefaultTimeout(STEP)
  t.teardown(async () => await context.close())
  return context
}
