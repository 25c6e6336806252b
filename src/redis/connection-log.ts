import { Cluster, type Redis } from 'ioredis'
import type { FastifyBaseLogger } from 'fastify'
import type { RedisClient } from './client.ts'
import { withoutArguments } from '#src/log/redact'
import { createTopology } from './topology.ts'
import { FOREIGN } from './wrong-door.ts'

/** Answers of a server that no waiting changes. */
const REFUSAL = /^(NOAUTH|WRONGPASS|NOPERM|ERR)/

/** Why a client is not connected, as far as its events tell. */
export interface Reasons {
  /** The last reason; `err`'s own message where a server gave it. */
  lastReason: (err?: unknown) => string
  /** Rejects when a server refuses us. */
  refused: Promise<never>
}

/** Listens to a client from before it connects. */
export function watchReasons (redis: RedisClient): Reasons {
  let last = 'no answer'
  const refused = new Promise<never>((_resolve, reject) => {
    const note = ({ message }: Error): void => {
      // What it says of a connection that is no more, after the reason for that.
      if (message !== 'Connection is closed.') last = withoutArguments(message)
      if (REFUSAL.test(message) || FOREIGN.test(message)) reject(new Error(last))
    }
    if (redis instanceof Cluster) {
      redis.on('node error', note)
      redis.on('+node', (node: Redis) => node.on('ready', () => { last = 'it closed the connection' }))
      // None of the nodes answered, and each said why.
      redis.on('error', () => {})
    } else {
      // Of sentinels it is the last one's reason. Of the pause between two rounds ioredis knows nothing (connectors.ts).
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

/** One line when the connection goes and one when it is back, however many attempts lie between. */
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
  if (redis instanceof Cluster) watchCoverage(redis, onLost, onBack)
  else redis.on('reconnecting', () => onLost()).on('ready', onBack)
}

/** Calls one when the connection to a master is gone, the other when those to all that own slots stand. */
function watchCoverage (cluster: Cluster, onLost: (missing: string[]) => void, onBack: () => void): void {
  const topology = createTopology(cluster)
  const look = (): void => {
    if (cluster.status !== 'ready') return // it is we who leave, or there is no map of slots yet
    const owners = [...topology.masters()]
    const missing = owners.filter(address => topology.node(address) === undefined)
    if (missing.length > 0) onLost(missing)
    else if (owners.every(address => topology.node(address)!.status === 'ready')) onBack()
  }
  const watch = (node: Redis): void => { node.on('ready', look) }
  cluster.nodes().forEach(watch)
  cluster.on('+node', watch).on('-node', look).on('refresh', look)
}
