import { spawnSync } from 'node:child_process'
import t from 'tap'

/** The types of the plugin, checked by tstyche. */

t.test('the types of the plugin are as test/plugin/types says', async t => {
  const { status, stdout, stderr } = spawnSync('node_modules/.bin/tstyche', ['--config', 'test/plugin/types/tstyche.json'], {
    encoding: 'utf8', env: { ...process.env, TSTYCHE_NO_COLOR: 'true' }
  })
  t.equal(status, 0, stdout + stderr)
  t.match(stdout, /Tests: +5 passed/)
})
