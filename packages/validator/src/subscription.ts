import type { Redis } from 'ioredis'
import { connectionOptions, type RedisClient } from '../../../src/redis/client.ts'
import { isUserId, type UserId } from '../../../src/tokens/user-id.ts'
import type { SessionCache } from './cache.ts'
import { disconnect, isCluster, readerOptions } from './connection.ts'

/** Milliseconds between two checks of the subscription. With the connection's time-out, a dead one is noticed in twice that. */
const HEARTBEAT = 1000

/** No reconnection: a new connection, perhaps to another server, replaces a lost one. */
const subscriberOptions = { ...connectionOptions, ...readerOptions, retryStrategy: null, autoResubscribe: false }

export interface Subscription {
  /** Resolves at the first subscription. */
  subscribed: Promise<void>
  /** Ends the subscription and pauses the cache; resolves when the connection has ended. */
  unsubscribe (): Promise<void>
}

/**
 * Applies the events of a channel to a cache, and pauses the cache while there is no subscription. `create` returns a
 * connection that is not open yet and does not reconnect; a new one replaces a lost one. `create` returns `undefined` while
 * no server is known.
 */
export function subscribe (create: () => Redis | undefined, channel: string, cache: SessionCache): Subscription {
  let subscriber: Redis | undefined
  let timer: NodeJS.Timeout | undefined
  let failures = 0
  let onFirst: () => void
  const subscribed = new Promise<void>(resolve => { onFirst = resolve })

  const connect = (): void => {
    subscriber = create()
    if (subscriber === undefined) return reconnect()
    subscriber.on('end', reconnect)
    receive(subscriber, channel, cache, () => {
      failures = 0
      onFirst()
    })
  }
  const reconnect = (): void => {
    cache.pause()
    timer = setTimeout(connect, connectionOptions.retryStrategy(++failures))
  }
  connect()

  return {
    subscribed,
    async unsubscribe () {
      clearTimeout(timer)
      subscriber?.off('end', reconnect)
      if (subscriber !== undefined) await disconnect(subscriber)
      cache.pause()
    }
  }
}

/** Applies the events of one connection to a cache until the connection ends. */
function receive (redis: Redis, channel: string, cache: SessionCache, onSubscribed: () => void): void {
  // Subscribing again costs nothing, so it is the heartbeat too: a subscriber that only receives would never notice a dead
  // server. It also retries after Redis refused a subscription.
  const send = (): void => {
    redis.subscribe(channel).then(() => {
      cache.resume()
      onSubscribed()
    }, () => {})
  }
  let heartbeat: NodeJS.Timeout
  redis.on('ready', () => {
    send()
    heartbeat = setInterval(send, HEARTBEAT)
  })
  redis.on('end', () => clearInterval(heartbeat))
  redis.on('message', (_channel, text: string) => {
    const id = userOf(text)
    if (id === undefined) cache.clear()
    else cache.dropUser(id)
  })
  redis.connect().catch(() => {})
}

/**
 * Returns the user id of an event of any type: an unknown type still means that something changed. Returns `undefined` when
 * the event can't be parsed.
 */
function userOf (text: string): UserId | undefined {
  try {
    const { id } = JSON.parse(text)
    return isUserId(id) ? id : undefined
  } catch {
    return undefined
  }
}

/**
 * Creates a connection for events, not open yet: to the client's own server, or to a random master of a Cluster, which
 * sends events to all its nodes. The connection ends when it is lost, or when its node leaves the Cluster and would receive
 * no more events. Returns `undefined` while no node is known.
 */
export function createSubscriber (redis: RedisClient): Redis | undefined {
  if (!isCluster(redis)) return duplicate(redis)
  const nodes = redis.status === 'ready' ? redis.nodes('master') : []
  const node = nodes[Math.floor(Math.random() * nodes.length)]
  if (node === undefined) return undefined

  const subscriber = duplicate(node)
  const onGone = (gone: Redis): void => { if (gone === node) subscriber.disconnect() }
  redis.on('-node', onGone)
  subscriber.once('end', () => redis.off('-node', onGone))
  return subscriber
}

function duplicate (redis: Redis): Redis {
  const copy = redis.duplicate(subscriberOptions)
  copy.on('error', () => {})
  // Otherwise ioredis would keep watching the sentinels for an ended connection.
  copy.once('end', () => copy.disconnect())
  return copy
}
