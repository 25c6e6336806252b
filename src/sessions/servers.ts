import { setTimeout as delay } from 'node:timers/promises'
import { Cluster, type Redis } from 'ioredis'
import type { RedisClient } from '#src/redis/client'
import { isReached } from '#src/redis/ready'
import { createTopology } from '#src/redis/topology'
import { createRedisClock, furthestFromZero, type RedisClock } from './clock.ts'
import { defineScripts, type ServerScripts } from './scripts.ts'

type Definition = (redis: Redis) => ServerScripts

/** How many keys are tried to find one for each master. One that has next to no slots may be left out. */
const SAMPLES = 1000

/**
 * Milliseconds that a call waits for a connection to a master of a Cluster. Longer than a connection takes, and short
 * enough that the users of a dead shard do not fill the place of the others.
 */
const PATIENCE = 200

/** Nothing was sent. */
export class NoConnectionError extends Error {
  override message = 'there is no connection to the master of the key\'s slot'
}

/** One Redis server that runs scripts, and its clock, which is like no other's. */
export interface Server extends ServerScripts {
  clock: RedisClock
  /** Asks the server for the time, for the clock to know it. */
  readClock (): Promise<void>
}

/** The servers that hold the records. */
export interface Servers {
  /**
   * The one that holds a key.
   * @throws NoConnectionError when there is none to it, or no such server known.
   */
  of (key: string): Server
  /**
   * The server to send a call to that `from` has not run, by the error: a redirection, a server without the slot, a
   * missing connection. `undefined` when there is no such server, or the error is another one.
   */
  follow (err: Error, key: string, from: Server | undefined): Promise<Server | undefined>
  /** How far Redis's clock is ahead of this machine's, in seconds; of several masters, the clock that is the furthest off. */
  takeAhead (): number | undefined
  /** A key of each of them, made by `keyOf` from 1, 2, 3 and so on. */
  sample (keyOf: (n: number) => string): string[]
}

/** `define` says how a server is sent scripts. */
export function createServers (redis: RedisClient, createClock = createRedisClock, define: Definition = defineScripts): Servers {
  const create = (redis: Redis): Server => createServer(redis, createClock(), define(redis))
  return redis instanceof Cluster ? ofCluster(redis, create) : ofSingle(create(redis))
}

function createServer (redis: Redis, clock: RedisClock, scripts: ServerScripts): Server {
  // Another connection may lead to another server. Read ahead, so that the first request needs one round trip too.
  const readClock = async (): Promise<void> => {
    const [seconds, microseconds] = await redis.time()
    clock.observe(Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000))
  }
  redis.on('close', () => clock.reset())
  redis.on('ready', () => { readClock().catch(() => {}) })
  return { ...scripts, clock, readClock }
}

function ofSingle (server: Server): Servers {
  return {
    of: () => server,
    follow: async () => undefined,
    takeAhead: () => server.clock.takeAhead?.(),
    sample: keyOf => [keyOf(1)]
  }
}

/**
 * A Cluster's masters are spoken to one by one: each has a clock of its own, and commands that go to one server at the
 * same time go in one write, where one that is redirected must not hold up the others.
 */
function ofCluster (cluster: Cluster, create: (redis: Redis) => Server): Servers {
  const topology = createTopology(cluster)
  const servers = new WeakMap<Redis, Server>()
  const connected = new WeakMap<Redis, Promise<boolean>>()
  const serverOf = (node: Redis): Server => {
    let server = servers.get(node)
    if (server === undefined) servers.set(node, server = create(node))
    return server
  }
  /** Connects a replica that has become a master; one promise a connection, however many calls wait for it. */
  const isConnected = async (node: Redis): Promise<boolean> => {
    if (node.status === 'ready') return true
    if (node.status === 'wait') node.connect().catch(() => {})
    let reached = connected.get(node)
    if (reached === undefined) connected.set(node, reached = isReached(node))
    return await Promise.race([reached, delay(PATIENCE, false, { ref: false })])
  }
  return {
    of (key) {
      const node = topology.node(topology.ownerOf(key))
      if (node?.status === 'ready') return serverOf(node)
      topology.refresh()
      throw new NoConnectionError()
    },
    async follow (err, key, from) {
      const [word, , address] = err.message.split(' ')
      const isRedirection = word === 'MOVED' || word === 'ASK'
      // A server that has left the Cluster says CLUSTERDOWN, and so does one whose Cluster is down.
      if (!isRedirection && word !== 'CLUSTERDOWN' && !(err instanceof NoConnectionError)) return undefined
      const knows = isRedirection && topology.node(address) !== undefined
      const refreshed = word === 'ASK' && knows ? undefined : topology.refresh()
      if (!knows) await refreshed
      const node = topology.node(isRedirection ? address : topology.ownerOf(key))
      if (node === undefined || !await isConnected(node)) return undefined
      const server = serverOf(node)
      if (word === 'ASK') return { ...server, scripts: server.asking }
      return isRedirection || server !== from ? server : undefined
    },
    takeAhead () {
      const nodes = [...topology.masters()].flatMap(address => topology.node(address) ?? [])
      return furthestFromZero(nodes.flatMap(node => servers.get(node)?.clock.takeAhead?.() ?? []))
    },
    sample (keyOf) {
      const missing = topology.masters()
      const keys = []
      for (let n = 1; missing.size > 0 && n <= SAMPLES; n++) {
        if (missing.delete(topology.ownerOf(keyOf(n))!)) keys.push(keyOf(n))
      }
      return keys
    }
  }
}
