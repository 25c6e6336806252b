// Common to all contenders' processes: each listens on 127.0.0.1 at a port chosen by the system, prints its URL to
// standard output, and opens sessions when the harness asks over the IPC channel.
import { createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'

/**
 * `server` is a Node HTTP server. `open(i)` opens the session of the i-th user in the contender's own way and resolves with
 * its refresh token.
 */
export async function serve (server, open) {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  process.on('message', async ({ from, count }) => {
    try {
      const tokens = []
      for (let i = from; i < from + count; i++) tokens.push(await open(i))
      process.send({ tokens })
    } catch (err) {
      process.send({ error: String(err?.stack ?? err) })
    }
  })
  console.log(JSON.stringify({ url: `http://127.0.0.1:${server.address().port}` }))
}

export const redisUrl = process.env.REDIS_URL

export const user = i => ({ id: i, email: `user${i}@example.com`, role: 'GUEST' })

/** A secret for one run. */
export const secret = () => randomBytes(64).toString('base64url')

/** A key for one run, derived from a secret of one process. */
export const derive = (of, name) => createHmac('sha256', of).update(name).digest()
