import type { Cluster, Redis } from 'ioredis'
import type { FastifyBaseLogger } from 'fastify'
import { isCluster, type RedisClient } from './client.ts'
import { withoutArguments } from '#src/log/redact'
import { addressOf, createTopology } from './topology.ts'
import { FOREIGN } from './failure-hint.ts'

/** Errors of a server that waiting does not change. */
const REFUSAL = /^(NOAUTH|WRONGPASS|NOPERM|ERR)/

const NO_ANSWER = 'no answer'

/** Why a client is not connected, according to its events. */
export interface Reasons {
  /** The last reason; the message of `err` when it is a server's refusal. */
  lastReason: (err?: unknown) => string
  /** Rejects when a server refuses us. */
  refused: Promise<never>
}

/** Collects reasons from the client's events. Call before the client connects. */
export function watchReasons (redis: RedisClient): Reasons {
  let last = NO_ANSWER
  const refused = new Promise<never>((_resolve, reject) => {
    const note = ({ message }: Error): void => {
      // ioredis's words for a sentinel without an answer.
      if (message === 'Command timed out') last = NO_ANSWER
      // ioredis emits this message after the actual reason.
      else if (message !== 'Connection is closed.') last = withoutArguments(message)
      if (REFUSAL.test(message) || FOREIGN.test(message)) reject(new Error(last))
    }
    if (isCluster(redis)) {
      redis.on('node error', note)
      redis.on('+node', (node: Redis) => node.on('ready', () => { last = 'it closed the connection' }))
      // Emitted when no node answered; `node error` has given each node's reason.
      redis.on('error', () => {})
    } else {
      // Keeps the last sentinel's reason. Drops the text about retrying: connectors.ts makes the pause, so ioredis's is wrong.
      redis.on('error', ({ message }: Error) => note(new Error(message.replace(/^All sentinels are unreachable.* Last error: | Retrying .*$/, ''))))
      redis.on('connect', () => { last = 'it is still loading its data, or does not answer' })
      redis.on('ready', () => { last = 'it closed the connection' })
    }
  })
  refused.catch(() => {})
  return {
    lastReason: err => err instanceof Error && REFUSAL.test(err.message) ? withoutArguments(err.message) : last,
    refused
  }
}

/** Logs one line when the connection is lost and one when it is back, regardless of the number of attempts between. */
export function logChanges (redis: RedisClient, display: string, reason: () => string, log: FastifyBaseLogger): void {
  let lost = false
  const onLost = (missing?: string[]): void => {
    if (!lost) log.warn({ redis: display, missing, reason: reason() }, 'the connection to Redis is lost')
    lost = true
  }
  const onBack = (): void => {
    if (lost) log.info({ redis: display }, 'the connection to Redis is back')
    lost = false
  }
  if (isCluster(redis)) watchCoverage(redis, onLost, onBack)
  else redis.on('reconnecting', () => onLost()).on('ready', onBack)
}

/** Calls `onLost` when the connection to a master is lost, and `onBack` when all slot owners are connected. */
function watchCoverage (cluster: Cluster, onLost: (missing: string[]) => void, onBack: () => void): void {
  const topology = createTopology(cluster)
  const check = (): void => {
    if (cluster.status !== 'ready') return // we are disconnecting, or the slots are not known yet
    const owners = [...topology.masters()]
    const missing = owners.filter(address => topology.node(address) === undefined)
    if (missing.length > 0) onLost(missing)
    else if (owners.every(address => topology.node(address)!.status === 'ready')) onBack()
  }
  const watch = (node: Redis): void => { node.on('ready', check) }
  cluster.nodes().forEach(watch)
  cluster.on('+node', watch).on('-node', check).on('refresh', check)
}

/** Calls `onReconnect` for every reconnect; in a Cluster, for each server. Call it when the client is connected. */
export function watchReconnects (redis: RedisClient, onReconnect: () => void): void {
  if (!isCluster(redis)) {
    redis.on('ready', onReconnect)
    return
  }
  const topology = createTopology(redis)
  const lost = new Set<string>()
  redis.on('-node', (node: Redis) => {
    const address = addressOf(node)
    // A server without slots has left the Cluster: ioredis closes its connection on purpose.
    if (topology.masters().has(address)) lost.add(address)
  })
  redis.on('+node', (node: Redis) => {
    node.once('ready', () => { if (lost.delete(addressOf(node))) onReconnect() })
  })
}
