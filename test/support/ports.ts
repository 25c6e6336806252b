import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** The lowest ephemeral port of any system: below it, no connection can take our port while its server is down. */
const EPHEMERAL = 32768

/** Returns a free port outside the ephemeral range. */
export async function freePort (): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, EPHEMERAL)
    const server = createServer().listen(port, '127.0.0.1')
    const isFree = await once(server, 'listening').then(() => true, () => false)
    server.close()
    if (isFree) return port
  }
}
