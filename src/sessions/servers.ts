import { setTimeout as delay } from 'node:timers/promises'
import { Cluster, type Redis } from 'ioredis'
import type { RedisClient } from '#src/redis/client'
import { isReached } from '#src/redis/ready'
import { createTopology } from '#src/redis/topology'
import { createRedisClock, furthestFromZero, type RedisClock } from './clock.ts'
import { defineScripts, type ServerScripts } from './scripts.ts'

type Definition = (redis: Redis) => ServerScripts

/** Number of keys tried to find one for each master. A master with very few slots may be left out. */
const SAMPLES = 1000

/**
 * Milliseconds that a call waits for a connection to a Cluster master. Longer than connecting takes, and short enough that
 * requests for a dead shard do not crowd out the others.
 */
const PATIENCE = 200

/** Thrown before anything was sent. */
export class NoConnectionError extends Error {
  override message = 'there is no connection to the master of the key\'s slot'
}

/** One Redis server that runs scripts, and its clock; every server has its own. */
export interface Server extends ServerScripts {
  clock: RedisClock
  /** Asks the server for the time and records it in `clock`. */
  readClock (): Promise<void>
}

/** The servers that hold the records. */
export interface Servers {
  /**
   * Returns the server that holds a key.
   * @throws NoConnectionError when the server is not connected or not known.
   */
  of (key: string): Server
  /**
   * Returns the next server for a call that has not run, after a redirection, a server without the slot, or a missing connection.
   * `undefined` if there is no such server, or for any other error.
   */
  follow (err: Error, key: string): Promise<Server | undefined>
  /** Seconds that Redis's clock is ahead of this machine's; with several masters, the clock that is furthest off. */
  takeAhead (): number | undefined
  /** Returns one key for each server, made by `keyOf` from 1, 2, 3 and so on. */
  sample (keyOf: (n: number) => string): string[]
}

/** `define` defines the scripts on each server's connection. */
export function createServers (redis: RedisClient, createClock = createRedisClock, define: Definition = defineScripts): Servers {
  const create = (redis: Redis): Server => createServer(redis, createClock(), define(redis))
  return redis instanceof Cluster ? ofCluster(redis, create) : ofSingle(create(redis))
}

function createServer (redis: Redis, clock: RedisClock, scripts: ServerScripts): Server {
  // A new connection may reach another server. The clock is read ahead, so that the first request needs only one round trip too.
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
 * Sends scripts to each master of a Cluster directly: every master has its own clock, and concurrent commands to one server
 * share a write, in which a redirected command must not delay the others.
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
  /** Connects a replica that has become a master; all calls that wait for one connection share a promise. */
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
    async follow (err, key) {
      const [word, , address] = err.message.split(' ')
      const isRedirection = word === 'MOVED' || word === 'ASK'
      // A server answers CLUSTERDOWN when it has left the Cluster, or when the whole Cluster is down.
      if (!isRedirection && word !== 'CLUSTERDOWN' && !(err instanceof NoConnectionError)) return undefined
      const knows = isRedirection && topology.node(address) !== undefined
      const refreshed = word === 'ASK' && knows ? undefined : topology.refresh()
      if (!knows) await refreshed
      const node = topology.node(isRedirection ? address : topology.ownerOf(key))
      if (node === undefined || !await isConnected(node)) return undefined
      const server = serverOf(node)
      if (word === 'ASK') return { ...server, scripts: server.asking }
      // After CLUSTERDOWN this may be the same server: the one that was asked for the slots may not know the heir yet.
      return server
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
