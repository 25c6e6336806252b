import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, symlink, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import t from 'tap'
import { tempFolder } from '../support/helper.ts'

/** scripts/reporter.mjs without a terminal, in a run of tap in another folder. */

const passes = 'import t from "tap"; t.ok(true, "a detail")'
const fails = 'import t from "tap"; t.test("one", async t => { t.ok(true); t.equal(1, 2, "one is two") })'
const waits = 'import t from "tap"; import { existsSync } from "node:fs"; while (!existsSync("go")) await new Promise(r => setTimeout(r, 20)); t.skip()'

t.test('prints a line for each file, the output of a failing file, the running files after a silence, and the totals', async t => {
  const folder = await tempFolder(t)
  await symlink(resolve('node_modules'), join(folder, 'node_modules'))
  await cp('package.json', join(folder, 'package.json'))
  for (const [name, text] of Object.entries({ passes, fails, waits })) await writeFile(join(folder, `${name}.test.mjs`), text)
  // The same plugins as in .taprc: with others, tap would be built again.
  await writeFile(join(folder, '.taprc'), `plugin: ["!@tapjs/mock", "!@tapjs/typescript"]\ninclude: ["*.test.mjs"]\nreporter: ${resolve('scripts/reporter.mjs')}\n`)
  const hasty = 'const { setInterval: real } = globalThis; globalThis.setInterval = (f, ms) => real(f, ms === 30_000 ? 100 : ms)'
  const tap = spawn('node_modules/.bin/tap', ['--disable-coverage', '--jobs=3'], {
    cwd: folder, env: { PATH: process.env.PATH, NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(hasty)}` }, stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => tap.kill())
  let output = ''
  tap.stdout.setEncoding('utf8').on('data', text => {
    output += text
    if (/^…\s+\d+ s: waits\.test\.mjs$/m.test(output)) writeFile(join(folder, 'go'), '')
  })
  t.same(await once(tap, 'close'), [1, null])
  t.match(output, /^ok {2}passes\.test\.mjs # time=/m)
  t.match(output, /^ {4}# Subtest: one\n[^]*^ +not ok 2 - one is two\n[^]*^FAIL {2}fails\.test\.mjs # time=/m)
  t.notMatch(output, /a detail/)
  t.match(output, /^# \{ total: 4, pass: 2, fail: 1, skip: 1 \}\n# time=.*\n2 passed, 1 failed, 1 skipped\n$/m)
})
