import type { Redis } from 'ioredis'
import { withTimeout } from '#src/timeout'
import { isReached } from './client.ts'
import type { Topology } from './topology.ts'

/** Maximum number of times a command is sent again, to the same or another server, after a server did not run it. */
const MAX_RETRIES = 3

/** Thrown before anything was sent. */
export class NoConnectionError extends Error {
  override message = 'there is no connection to the master of the key\'s slot'
}

/** Finds the server for commands on a key. */
export interface Routes<Server> {
  /**
   * Returns the server that holds a key.
   * @throws NoConnectionError when the server is not connected or not known.
   */
  of (key: string): Server
  /**
   * Returns the next server for a command that has not run, after a redirection, a server without the slot, or a missing
   * connection. `undefined` if there is no such server, or for any other error.
   */
  follow (err: Error, key: string): Promise<Server | undefined>
}

/**
 * Sends a command until a server has run it: follows redirects, and sends it to the same server again after an error for which
 * `canRetryHere` returns true.
 */
export async function sendUntilRun<Server, Reply> (
  routes: Routes<Server>, key: string, send: (server: Server) => Promise<Reply>, canRetryHere: (err: Error) => boolean = () => false
): Promise<Reply> {
  let server: Server | undefined
  for (let left = MAX_RETRIES; ; left--) {
    try {
      server ??= routes.of(key)
      return await send(server)
    } catch (err) {
      if (!canRetryHere(err as Error)) server = await routes.follow(err as Error, key)
      if (server === undefined || left === 0) throw err
    }
  }
}

/**
 * Finds a Cluster's masters without ioredis's routing. Without a connection to the master of a slot, ioredis would ask any
 * node, and a replica may answer with outdated data. A redirected command must not delay the commands that share its write. A
 * command waits at most `connectTimeout` milliseconds for a connection.
 *
 * `serverOf` makes a server of a connection. With `asking`, ASKING must precede the command: its slot is migrating there.
 */
export function clusterRoutes<Server> (
  topology: Topology, connectTimeout: number, serverOf: (node: Redis, asking: boolean) => Server
): Routes<Server> {
  const connections = new WeakMap<Redis, Promise<boolean>>()

  /** Connects a replica that has become a master; all commands that wait for one connection share a promise. */
  async function isConnected (node: Redis): Promise<boolean> {
    if (node.status === 'ready') return true
    if (node.status === 'wait') node.connect().catch(() => {})
    let connection = connections.get(node)
    if (connection === undefined) connections.set(node, connection = isReached(node))
    return await withTimeout(connection, connectTimeout, () => false)
  }

  return {
    of (key) {
      const node = topology.node(topology.ownerOf(key))
      if (node?.status === 'ready') return serverOf(node, false)
      topology.refresh()
      throw new NoConnectionError()
    },

    async follow (err, key) {
      const [word, , address] = err.message.split(' ')
      const isRedirection = word === 'MOVED' || word === 'ASK'
      // A server answers CLUSTERDOWN when it has left the Cluster, or when the whole Cluster is down.
      if (!isRedirection && word !== 'CLUSTERDOWN' && !(err instanceof NoConnectionError)) return undefined
      const isKnown = isRedirection && topology.node(address) !== undefined
      const refreshed = word === 'ASK' && isKnown ? undefined : topology.refresh()
      if (!isKnown) await refreshed
      // After CLUSTERDOWN this may be the same server: the server that was asked for the slots may not know the new owner yet.
      const node = topology.node(isRedirection ? address : topology.ownerOf(key))
      if (node === undefined || !await isConnected(node)) return undefined
      return serverOf(node, word === 'ASK')
    }
  }
}
