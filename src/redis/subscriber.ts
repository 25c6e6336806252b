import type { Redis } from 'ioredis'
import { connectionOptions, isCluster, type RedisClient } from './client.ts'

/** Milliseconds between two checks of a subscription. With the connection's time-out, a dead one is noticed in twice that. */
const HEARTBEAT = 1000

/** No reconnection: a new connection, perhaps to another server, replaces a lost one. */
const subscriberOptions = { ...connectionOptions, retryStrategy: null, autoResubscribe: false }

export interface Subscriber {
  /** Called at the start of a subscription, and then every second. */
  up (): void
  /** Called when there is no subscription any more: messages are lost until `up`. Called at each attempt that fails, too. */
  down (): void
  message (text: string): void
}

export interface Subscription {
  /** Resolves at the first subscription. */
  subscribed: Promise<void>
  /** Ends the subscription; resolves when its connection has ended. */
  unsubscribe (): Promise<void>
}

/**
 * Passes the messages of a channel to a subscriber. `create` returns a connection that is not open yet and does not reconnect; a new
 * one replaces a lost one. `create` returns `undefined` while no server is known.
 */
export function subscribe (create: () => Redis | undefined, channel: string, subscriber: Subscriber): Subscription {
  let redis: Redis | undefined
  let timer: NodeJS.Timeout | undefined
  let failures = 0
  let onFirst: () => void
  const subscribed = new Promise<void>(resolve => { onFirst = resolve })

  const connect = (): void => {
    redis = create()
    if (redis === undefined) return reconnect()
    redis.on('end', reconnect)
    receive(redis, channel, subscriber, () => {
      failures = 0
      onFirst()
    })
  }
  const reconnect = (): void => {
    subscriber.down()
    timer = setTimeout(connect, connectionOptions.retryStrategy(++failures))
  }
  connect()

  return {
    subscribed,
    async unsubscribe () {
      clearTimeout(timer)
      redis?.off('end', reconnect)
      if (redis !== undefined) await disconnect(redis)
      subscriber.down()
    }
  }
}

/** Passes on the messages of one connection until it ends. */
function receive (redis: Redis, channel: string, subscriber: Subscriber, onSubscribed: () => void): void {
  // Subscribing again costs nothing, so it is the heartbeat too: a subscriber that only receives would never notice a dead
  // server. It also retries after Redis refused a subscription.
  const send = (): void => {
    redis.subscribe(channel).then(() => {
      subscriber.up()
      onSubscribed()
    }, () => {})
  }
  let heartbeat: NodeJS.Timeout
  redis.on('ready', () => {
    send()
    heartbeat = setInterval(send, HEARTBEAT)
  })
  redis.on('end', () => clearInterval(heartbeat))
  redis.on('message', (_channel, text: string) => { subscriber.message(text) })
  redis.connect().catch(() => {})
}

/**
 * Creates a connection for events, not open yet: to the client's own server, or to a random master of a Cluster, which
 * sends events to all its nodes. The connection ends when it is lost, or when its node leaves the Cluster and would receive
 * no more events. Returns `undefined` while no node is known.
 */
export function createSubscriber (redis: RedisClient, overrides: object = {}): Redis | undefined {
  if (!isCluster(redis)) return duplicate(redis, overrides)
  const nodes = redis.status === 'ready' ? redis.nodes('master') : []
  const node = nodes[Math.floor(Math.random() * nodes.length)]
  if (node === undefined) return undefined

  const subscriber = duplicate(node, overrides)
  const onGone = (gone: Redis): void => { if (gone === node) subscriber.disconnect() }
  redis.on('-node', onGone)
  subscriber.once('end', () => redis.off('-node', onGone))
  return subscriber
}

function duplicate (redis: Redis, overrides: object): Redis {
  const copy = redis.duplicate({ ...subscriberOptions, ...overrides })
  copy.on('error', () => {})
  // Otherwise ioredis would keep watching the sentinels for an ended connection.
  copy.once('end', () => copy.disconnect())
  return copy
}

/** Disconnects, and resolves when the connection has ended. A frozen server delays the end by `disconnectTimeout`. */
export async function disconnect (redis: RedisClient): Promise<void> {
  if (redis.status === 'end') return
  const ended = new Promise<void>(resolve => { redis.once('end', resolve) })
  // Without a connection ioredis only stops its reconnection timer and emits no event.
  const connected = isCluster(redis) ? redis.nodes().length > 0 : redis.status !== 'reconnecting'
  redis.disconnect()
  if (connected) await ended
}
