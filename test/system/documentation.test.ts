import { execFileSync } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { startRedis } from '../support/helper.ts'
import { runBlocks } from '../support/pages.ts'
import { freePort } from '../support/ports.ts'

/** The documentation as a site, and the page for operators as written. */

t.test('docs/getting-started/operators.md prints the documented output', async t => {
  const redis = await startRedis(t)
  const [port, internalPort] = [await freePort(), await freePort()]
  const page = await readFile('docs/getting-started/operators.md', 'utf8')
  const { printed, expected } = runBlocks(page, script => script
    .replaceAll('redis://127.0.0.1:6379', redis.url)
    .replaceAll('localhost:3001', `localhost:${internalPort}`)
    .replaceAll('> service.log', '> /dev/null'), { PORT: String(port), INTERNAL_PORT: String(internalPort), SHUTDOWN_DELAY: '0' })
  t.same(printed, expected)
})

t.test('npm run docs builds the site: every link leads to a page, and the sidebar lists every page of docs/README.md', async t => {
  execFileSync('npm', ['run', '--silent', 'docs'], { stdio: 'pipe' })
  const site = 'docs/.vitepress/dist'
  const index = await readFile(join(site, 'index.html'), 'utf8')
  const pages = (await readdir(site, { recursive: true })).filter(path => path.endsWith('.html'))
  for (const page of ['introduction', 'keys', 'getting-started/client', 'reference/settings', 'packages/validator/index']) {
    t.ok(pages.includes(`${page}.html`), page)
    t.match(index, `href="/${page.replace(/index$/, '')}"`, page)
  }
  await t.resolves(readFile(join(site, 'files/deploy/redis/users.acl')), 'linked files are copied')
})
