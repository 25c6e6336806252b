import type { Cluster, Redis } from 'ioredis'
import { isCluster, type RedisClient } from '#src/redis/client'
import { clusterRoutes, type Routes } from '#src/redis/redirects'
import { createTopology } from '#src/redis/topology'
import { commandOf, defineScripts, type ServerScripts } from './scripts.ts'

type Definition = (redis: Redis) => ServerScripts

/** Number of keys tried to find one for each master. A master with very few slots may be left out. */
const SAMPLES = 1000

/**
 * Milliseconds that a command waits for a connection to a Cluster master. Longer than connecting takes, and short enough that
 * requests for a dead shard do not crowd out the others.
 */
const CONNECT_TIMEOUT = 200

/** One Redis server that runs scripts, and its clock; every server has its own. */
export interface Server extends ServerScripts {
  clock: RedisClock
  /** Asks the server for the time and records it in `clock`. */
  readClock (): Promise<void>
}

/** Maximum number of refreshes in one script call. Redis runs such a call for about 0.6 ms, and other calls wait meanwhile. */
const BATCH_SIZE = 64

/** The servers that hold the records. */
export interface Servers extends Routes<Server> {
  /** Maximum number of records that a script may work on: 1 in a Cluster, where records may be on different servers. */
  batchSize: number
  /** Seconds that Redis's clock is ahead of this machine's; with several masters, the clock that is furthest off. */
  takeAhead (): number | undefined
  /** Returns one key for each server, made by `keyOf` from 1, 2, 3 and so on. */
  sample (keyOf: (n: number) => string): string[]
  /** Removes every listener from the client, which may live on. */
  release (): void
}

/** `define` defines the scripts on each server's connection. */
export function createServers (redis: RedisClient, createClock = createRedisClock, define: Definition = defineScripts): Servers {
  const releases: Array<() => void> = []
  const create = (redis: Redis): Server => createServer(redis, createClock(), define(redis), releases)
  const release = (): void => { for (const end of releases.splice(0)) end() }
  if (isCluster(redis)) return ofCluster(redis, create, releases, release)
  // Calls of `rotate` are batched already; automatic pipelining would delay them by another turn of the event loop.
  const { autoPipeliningIgnoredCommands: ignored = [] } = redis.options
  redis.options.autoPipeliningIgnoredCommands = [...new Set([...ignored, commandOf('rotate')])]
  return { ...ofSingle(create(redis)), release }
}

function createServer (redis: Redis, clock: RedisClock, scripts: ServerScripts, releases: Array<() => void>): Server {
  // A new connection may reach another server, with another clock. Reading it on `ready` saves the first call a round trip.
  const readClock = async (): Promise<void> => {
    const [seconds, microseconds] = await redis.time()
    clock.observe(Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000))
  }
  const onClose = (): void => { clock.reset() }
  const onReady = (): void => { readClock().catch(() => {}) }
  redis.on('close', onClose).on('ready', onReady)
  releases.push(() => { redis.off('close', onClose).off('ready', onReady) })
  return { ...scripts, clock, readClock }
}

function ofSingle (server: Server): Omit<Servers, 'release'> {
  return {
    batchSize: BATCH_SIZE,
    of: () => server,
    follow: async () => undefined,
    takeAhead: () => server.clock.takeAhead?.(),
    sample: keyOf => [keyOf(1)]
  }
}

/** Every master has its own clock. */
function ofCluster (
  cluster: Cluster, create: (redis: Redis) => Server, releases: Array<() => void>, release: () => void
): Servers {
  const topology = createTopology(cluster)
  releases.push(topology.release)
  const servers = new WeakMap<Redis, Server>()
  const serverOf = (node: Redis, asking: boolean): Server => {
    let server = servers.get(node)
    if (server === undefined) servers.set(node, server = create(node))
    return asking ? { ...server, scripts: server.asking } : server
  }
  return {
    ...clusterRoutes(topology, CONNECT_TIMEOUT, serverOf),
    batchSize: 1,
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
    },
    release
  }
}

/**
 * Estimates Redis's clock between replies, for deadlines and metrics. Redis makes every decision that depends on time.
 */
export interface RedisClock {
  /** Records Redis's clock from a reply, Unix milliseconds. */
  observe (redisMs: number): void
  /** Forgets the estimate: the next server may have another clock. */
  reset (): void
  /** Converts a `performance.now()` time to Redis's clock, Unix milliseconds; `undefined` before the first reply. */
  deadline (moment: number): number | undefined
  /**
   * Returns how many seconds Redis's clock is ahead of this machine's, negative if behind: the current offset, or the largest
   * since the last call if that is further from 0. A slow reply makes Redis look behind, never ahead. `undefined` before the
   * first reply. Only metrics call it; a test's clock may lack it.
   */
  takeAhead? (): number | undefined
}

/**
 * A reply is older than its arrival, so the estimate lags behind Redis's clock: a deadline errs towards refusing a command
 * that was in time. The estimate is ahead only if Redis's clock was set back since the last reply.
 */
export function createRedisClock (): RedisClock {
  let offset: number | undefined
  let furthest = -Infinity
  return {
    observe (redisMs) {
      offset = redisMs - performance.now()
      if (offset > furthest) furthest = offset
    },
    reset () {
      offset = undefined
      furthest = -Infinity
    },
    deadline (moment) {
      return offset === undefined ? undefined : Math.floor(moment + offset)
    },
    takeAhead () {
      if (offset === undefined) return undefined
      const here = Date.now() - performance.now()
      const ahead = furthestFromZero([offset - here, furthest - here])! / 1000
      furthest = offset
      return ahead
    }
  }
}

/** Returns the number furthest from 0; `undefined` for an empty list. */
export function furthestFromZero (numbers: number[]): number | undefined {
  return numbers.length === 0 ? undefined : numbers.reduce((a, b) => Math.abs(b) > Math.abs(a) ? b : a)
}
