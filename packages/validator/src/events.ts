import type { Redis } from 'ioredis'
import { behaviour } from '../../../src/redis/options.ts'
import type { SessionCache } from './cache.ts'
import { hangUp } from './connections.ts'

/** Milliseconds between two checks of the subscription. With the connection's time-out, a dead one is noticed in twice that. */
const HEARTBEAT = 1000

export interface Ears {
  /** Resolves at the first subscription. */
  heard: Promise<void>
  /** Ends the subscription and pauses the cache; resolves when the connection has ended. */
  stop (): Promise<void>
}

/**
 * Applies the events of a channel to a cache, and pauses the cache while there is no subscription. `create` returns a
 * connection that is not open yet and does not reconnect; a new one replaces a lost one. `create` returns `undefined` while
 * no server is known.
 */
export function follow (create: () => Redis | undefined, channel: string, cache: SessionCache): Ears {
  let subscriber: Redis | undefined
  let renewal: NodeJS.Timeout | undefined
  let failures = 0
  let onHeard: () => void
  const heard = new Promise<void>(resolve => { onHeard = resolve })

  const listen = (): void => {
    subscriber = create()
    if (subscriber === undefined) return renew()
    subscriber.on('end', renew)
    feed(subscriber, channel, cache, () => {
      failures = 0
      onHeard()
    })
  }
  const renew = (): void => {
    cache.pause()
    renewal = setTimeout(listen, behaviour.retryStrategy(++failures))
  }
  listen()

  return {
    heard,
    async stop () {
      clearTimeout(renewal)
      subscriber?.off('end', renew)
      if (subscriber !== undefined) await hangUp(subscriber)
      cache.pause()
    }
  }
}

/** Applies the events of one connection to a cache until the connection ends. */
function feed (redis: Redis, channel: string, cache: SessionCache, onHeard: () => void): void {
  // Subscribing again costs nothing, so it is the heartbeat too: a subscriber that only receives would never notice a dead
  // server. It also retries after Redis refused a subscription.
  const subscribe = (): void => {
    redis.subscribe(channel).then(() => {
      cache.resume()
      onHeard()
    }, () => {})
  }
  let heartbeat: NodeJS.Timeout
  redis.on('ready', () => {
    subscribe()
    heartbeat = setInterval(subscribe, HEARTBEAT)
  })
  redis.on('end', () => clearInterval(heartbeat))
  redis.on('message', (_channel, text: string) => {
    const id = userOf(text)
    if (id === undefined) cache.clear()
    else cache.forget(id)
  })
  redis.connect().catch(() => {})
}

/**
 * Returns the user id of an event of any type: an unknown type still means that something changed. Returns `undefined` when
 * the event can't be parsed.
 */
function userOf (text: string): number | undefined {
  try {
    const { id } = JSON.parse(text)
    return Number.isSafeInteger(id) ? id : undefined
  } catch {
    return undefined
  }
}
