import { Cluster, type Redis } from 'ioredis'
import type { RedisClient } from '../redis/client.ts'
import { createTopology } from '../redis/topology.ts'
import { createRedisClock, type RedisClock } from './clock.ts'
import { defineScripts, type ServerScripts } from './scripts.ts'

type Definition = (redis: Redis) => ServerScripts

/** How many keys are tried to find one for each master. One that has next to no slots may be left out. */
const SAMPLES = 1000

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
  /** Where a server's answer sends a command, which it has not run; `undefined` when the answer is something else. */
  follow (answer: Error): Promise<Server | undefined>
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
  const serverOf = (node: Redis): Server => {
    let server = servers.get(node)
    if (server === undefined) servers.set(node, server = create(node))
    return server
  }
  return {
    of (key) {
      const node = topology.node(topology.ownerOf(key))
      if (node?.status === 'ready') return serverOf(node)
      topology.refresh()
      throw new NoConnectionError()
    },
    async follow ({ message }) {
      const [word, , address] = message.split(' ')
      if (word !== 'MOVED' && word !== 'ASK') return undefined
      const refreshed = word === 'MOVED' || topology.node(address) === undefined ? topology.refresh() : undefined
      if (topology.node(address) === undefined) await refreshed
      const node = topology.node(address)
      if (node === undefined) return undefined
      const server = serverOf(node)
      return word === 'ASK' ? { ...server, scripts: server.asking } : server
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
