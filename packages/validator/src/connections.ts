import { Cluster, type Redis } from 'ioredis'
import { behaviour } from '../../../src/redis/options.ts'
import { createClient, type ClientOptions, type RedisClient } from '../../../src/redis/client.ts'
import { watchReasons } from '../../../src/redis/connection-log.ts'
import { whenReady } from '../../../src/redis/ready.ts'
import { parseRedisUrl } from '../../../src/settings/redis-url.ts'

/** No ready check: it needs INFO, which a reader may not run. A server that is still loading refuses commands anyway. */
const readerBehaviour = { connectionName: 'session-validator', enableReadyCheck: false }

/** No reconnection: the owner of a lost subscriber creates a new one, perhaps to another server. */
const subscriberBehaviour = { ...behaviour, ...readerBehaviour, retryStrategy: null, autoResubscribe: false }

/** A client that looks up sessions. It reconnects by itself; each look-up reports its own failure. */
export interface Reader {
  redis: RedisClient
  /** Resolves at the first connection. After that, a look-up without a connection fails at once as unavailable. */
  ready: Promise<void>
  /** The last known reason why there is no connection. */
  reason (): string
}

/** Connects to the master, or to the Cluster masters, behind `url`. */
export function connectReader (url: string, options: ClientOptions): Reader {
  const redis = createClient(parseRedisUrl(url)!, options, readerBehaviour)
  const { lastReason: reason } = watchReasons(redis)
  const ready = whenReady(redis)
  redis.connect().catch(() => {}) // ioredis keeps retrying by itself
  return { redis, ready, reason }
}

/** Uses the caller's client. Connects a Cluster client that is not connected yet: before that it knows no servers. */
export function useReader (redis: RedisClient): Reader {
  const knows = !isCluster(redis) || redis.status === 'ready'
  const ready = knows ? Promise.resolve() : new Promise<void>(resolve => { redis.once('ready', resolve) })
  if (isCluster(redis) && redis.status === 'wait') redis.connect().catch(() => {})
  return { redis, ready, reason: () => 'no connection' }
}

/**
 * Creates a connection for events, not open yet: to the client's own server, or to a random master of a Cluster, which
 * sends events to all its nodes. The connection ends when it is lost, or when its node leaves the Cluster and would receive
 * no more events. Returns `undefined` while no node is known.
 */
export function createSubscriber (redis: RedisClient): Redis | undefined {
  if (!isCluster(redis)) return duplicateOf(redis)
  const nodes = redis.status === 'ready' ? redis.nodes('master') : []
  const node = nodes[Math.floor(Math.random() * nodes.length)]
  if (node === undefined) return undefined

  const subscriber = duplicateOf(node)
  const onGone = (gone: Redis): void => { if (gone === node) subscriber.disconnect() }
  redis.on('-node', onGone)
  subscriber.once('end', () => redis.off('-node', onGone))
  return subscriber
}

function duplicateOf (redis: Redis): Redis {
  const copy = redis.duplicate(subscriberBehaviour)
  copy.on('error', () => {})
  // Otherwise ioredis would keep watching the sentinels for an ended connection.
  copy.once('end', () => copy.disconnect())
  return copy
}

/** Duck-typed: the caller may use another copy of ioredis. */
export function isCluster (redis: RedisClient): redis is Cluster {
  return redis.isCluster
}

/** Disconnects, and resolves when the connection has ended. A frozen server delays the end by `disconnectTimeout`. */
export async function hangUp (redis: RedisClient): Promise<void> {
  if (redis.status === 'end') return
  const ended = new Promise<void>(resolve => { redis.once('end', resolve) })
  // Without a connection ioredis only stops its reconnection timer and emits no event.
  const connected = redis instanceof Cluster ? redis.nodes().length > 0 : redis.status !== 'reconnecting'
  redis.disconnect()
  if (connected) await ended
}
