import type { Redis } from 'ioredis'
import { behaviour } from '#src/redis/options'
import type { SessionCache } from './cache.ts'
import { hangUp } from './connections.ts'

/** Milliseconds between two proofs that events would arrive. With the connection's time-out, a silent death is noticed in twice that. */
const HEARTBEAT = 1000

export interface Ears {
  /** The first subscription. */
  heard: Promise<void>
  /** Hears and remembers nothing from now on; resolves when the connection is gone. */
  stop (): Promise<void>
}

/**
 * Feeds a cache with the events of a channel, and pauses it while they can't be heard. `create` gives a connection that is
 * not open yet and ends when it is lost; another takes its place then. It may have none to give for a while.
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

/** Feeds a cache from one connection for as long as that lives. */
function feed (redis: Redis, channel: string, cache: SessionCache, onHeard: () => void): void {
  // A subscription can be made again at no cost. So this is the heartbeat too: a subscriber that only listened would
  // never learn that the other side is gone. And it is the next attempt when Redis refused the last.
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
 * The user an event is about, whatever its type: one that is unknown today still means that something changed.
 * `undefined` when it can't be read.
 */
function userOf (text: string): number | undefined {
  try {
    const { id } = JSON.parse(text)
    return Number.isSafeInteger(id) ? id : undefined
  } catch {
    return undefined
  }
}
