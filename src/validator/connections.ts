import { Cluster, type Redis } from 'ioredis'
import { behaviour } from '#src/redis/options'
import { createClient, type ClientOptions, type RedisClient } from '#src/redis/client'
import { watchReasons } from '#src/redis/connection-log'
import { whenReady } from '#src/redis/ready'
import { parseRedisUrl } from '#src/settings/redis-url'

/** INFO, which ioredis would ask for, is more than a reader may; a server that still loads refuses by itself. */
const readerBehaviour = { connectionName: 'session-validator', enableReadyCheck: false }

/** What only listens is connected anew by its owner, perhaps to somewhere else. */
const subscriberBehaviour = { ...behaviour, ...readerBehaviour, retryStrategy: null, autoResubscribe: false }

/** A client that looks sessions up. It heals by itself; what fails is told to whoever asks then. */
export interface Reader {
  redis: RedisClient
  /** The first connection. After it, what can't be asked at once is unavailable. */
  ready: Promise<void>
  /** Why there is no connection, as far as is known. */
  reason (): string
}

/** Connects to the master, or to those of a Cluster, that `url` leads to. */
export function connectReader (url: string, options: ClientOptions): Reader {
  const redis = createClient(parseRedisUrl(url)!, options, readerBehaviour)
  const { lastReason: reason } = watchReasons(redis)
  const ready = whenReady(redis)
  redis.connect().catch(() => {}) // it goes on trying by itself
  return { redis, ready, reason }
}

/** A client of the caller's. A Cluster knows its servers only once it is connected, which this sees to. */
export function useReader (redis: RedisClient): Reader {
  const knows = !isCluster(redis) || redis.status === 'ready'
  const ready = knows ? Promise.resolve() : new Promise<void>(resolve => { redis.once('ready', resolve) })
  if (isCluster(redis) && redis.status === 'wait') redis.connect().catch(() => {})
  return { redis, ready, reason: () => 'no connection' }
}

/**
 * A connection to where events are heard, not open yet: to the place that a client leads to, or to a master of a Cluster,
 * which tells all of its nodes. It ends when it is lost, and when its node leaves the Cluster and would hear no more.
 * `undefined` while no node is known.
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
  // ioredis would watch the sentinels for one that is no more.
  copy.once('end', () => copy.disconnect())
  return copy
}

/** By its own word: the caller's ioredis may be another copy than ours. */
export function isCluster (redis: RedisClient): redis is Cluster {
  return redis.isCluster
}

/** Resolves when the connection is gone, which a frozen server delays by the `disconnectTimeout`. */
export async function hangUp (redis: RedisClient): Promise<void> {
  if (redis.status === 'end') return
  const ended = new Promise<void>(resolve => { redis.once('end', resolve) })
  // There may be no connection: ioredis ends its waiting then, and no event tells of it.
  const connected = redis instanceof Cluster ? redis.nodes().length > 0 : redis.status !== 'reconnecting'
  redis.disconnect()
  if (connected) await ended
}
