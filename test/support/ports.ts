import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** The lowest port that some system gives to a connection: below it nobody is given ours while its owner is away. */
const EPHEMERAL = 32768

/** A port of this machine that nobody listens at and that the system gives to nobody. */
export async function freePort (): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, EPHEMERAL)
    const server = createServer().listen(port, '127.0.0.1')
    const isFree = await once(server, 'listening').then(() => true, () => false)
    server.close()
    if (isFree) return port
  }
}
