import { Cluster, type Redis } from 'ioredis'
import type { RedisClient } from '../redis/client.ts'
import { createTopology } from '../redis/topology.ts'
import { createRedisClock, type RedisClock } from './clock.ts'
import { defineScripts, scriptNames, sources, type Scripts } from './scripts.ts'

/** How many keys are tried to find one for each master. One that has next to no slots may be left out. */
const SAMPLES = 1000

/** One Redis server that runs scripts, and its clock, which is like no other's. */
export interface Server {
  redis: Redis
  scripts: Scripts
  clock: RedisClock
  /** Asks the server for the time, for the clock to know it. */
  readClock (): Promise<void>
}

/** The servers that hold the records. */
export interface Servers {
  /**
   * The one that holds a key.
   * @throws Error when there is no connection to it, or no such server known.
   */
  of (key: string): Server
  /** Where a server's answer sends a command, which it has not run; `undefined` when the answer is something else. */
  follow (answer: Error): Promise<Server | undefined>
  /** A key of each of them, made by `keyOf` from 1, 2, 3 and so on. */
  sample (keyOf: (n: number) => string): string[]
}

export function createServers (redis: RedisClient, createClock = createRedisClock): Servers {
  return redis instanceof Cluster ? ofCluster(redis, createClock) : ofSingle(createServer(redis, createClock))
}

function createServer (redis: Redis, createClock: () => RedisClock): Server {
  const clock = createClock()
  // Another connection may lead to another server. Read ahead, so that the first request needs one round trip too.
  const readClock = async (): Promise<void> => {
    const [seconds, microseconds] = await redis.time()
    clock.observe(Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000))
  }
  redis.on('close', () => clock.reset())
  redis.on('ready', () => { readClock().catch(() => {}) })
  return { redis, scripts: defineScripts(redis), clock, readClock }
}

function ofSingle (server: Server): Servers {
  return {
    of: () => server,
    follow: async () => undefined,
    sample: keyOf => [keyOf(1)]
  }
}

/**
 * A Cluster's masters are spoken to one by one: each has a clock of its own, and commands that go to one server at the
 * same time go in one write, where one that is redirected must not hold up the others.
 */
function ofCluster (cluster: Cluster, createClock: () => RedisClock): Servers {
  const topology = createTopology(cluster)
  const servers = new WeakMap<Redis, Server>()
  const serverOf = (node: Redis): Server => {
    let server = servers.get(node)
    if (server === undefined) servers.set(node, server = createServer(node, createClock))
    return server
  }
  return {
    of (key) {
      const node = topology.node(topology.ownerOf(key))
      if (node?.status === 'ready') return serverOf(node)
      topology.refresh()
      throw new Error('there is no connection to the master of the key\'s slot')
    },
    async follow ({ message }) {
      const [word, , address] = message.split(' ')
      if (word !== 'MOVED' && word !== 'ASK') return undefined
      const refreshed = word === 'MOVED' || topology.node(address) === undefined ? topology.refresh() : undefined
      if (topology.node(address) === undefined) await refreshed
      const node = topology.node(address)
      return node && (word === 'ASK' ? asking(serverOf(node)) : serverOf(node))
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

/**
 * The same server for one command on a slot that is on its way to it: it takes those that say ASKING, and both must go
 * in one write. EVAL, since what NOSCRIPT makes ioredis send again would go without.
 */
function asking (server: Server): Server {
  const scripts = Object.fromEntries(scriptNames.map(name => [name, async (...args: Array<string | number>) => {
    const replies = await server.redis.pipeline().asking().eval(sources[name], 1, ...args).exec()
    const [err, reply] = replies![1]!
    if (err !== null) throw err
    return reply
  }])) as Scripts
  return { ...server, scripts }
}
