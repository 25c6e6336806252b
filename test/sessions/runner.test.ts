import t from 'tap'
import { createRunner } from '#src/sessions/runner'
import { defineScripts } from '#src/sessions/scripts'
import { createServers } from '#src/sessions/servers'
import { startRedis } from '../support/helper.ts'

t.test('a probe fails while no master is known', async t => {
  const { client } = await startRedis(t)
  const { probe } = createRunner({ ...createServers(client), sample: () => [] }, 'rt:')
  await t.rejects(probe(), { code: 'RTS_STORE_UNAVAILABLE', message: /no master is known/ })
})

t.test('rejects if a script sent with ASKING fails', async t => {
  const { client } = await startRedis(t)
  await client.set('rt:1', 'no hash')
  await t.rejects(defineScripts(client).asking.list(1, 'rt:1', 'rt:events', Date.now() + 10_000), { name: 'ReplyError' })
})
