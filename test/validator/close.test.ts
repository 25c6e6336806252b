import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { secret } from '../support/helper.ts'
import { spawnNode } from '../support/processes.ts'

/** A process with a closed validator ends at once: the validator keeps no event loop alive. */

/** The resources that keep the process alive after the close. */
async function leftAfterClose (t: Test, redisUrl: string): Promise<string> {
  const child = spawnNode(['test/support/fixtures/close.ts', redisUrl, secret()], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => { child.kill('SIGKILL') })
  const [output] = await Promise.all([text(child.stdout!), once(child, 'close')])
  return output.trim()
}

/** Starts a server that accepts connections and never answers or closes one, like a frozen server; returns its address. */
async function startSilent (t: Test): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, socket => { sockets.add(socket.on('error', () => {})) }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

t.test('a closed validator leaves no timer and no socket', async t => {
  const refusing = '127.0.0.1:1'
  const silent = await startSilent(t)
  for (const [what, url] of Object.entries({
    'sentinels that refuse connections': `redis+sentinel://${refusing},${refusing}/refresh`,
    'sentinels that are frozen': `redis+sentinel://${silent},${silent}/refresh`,
    'a sentinel of each kind': `redis+sentinel://${silent},${refusing}/refresh`,
    'a server that refuses connections': `redis://${refusing}`,
    'a server that is frozen': `redis://${silent}`,
    'a Cluster that refuses connections': `redis+cluster://${refusing}`
  })) {
    t.equal(await leftAfterClose(t, url), '', what)
  }
})
