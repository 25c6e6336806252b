import type { Redis } from 'ioredis'
import type { SessionCache } from './cache.ts'

/** Milliseconds between two proofs that events would arrive. With the connection's time-out, a silent death is noticed in twice that. */
const HEARTBEAT = 1000

/**
 * Feeds a cache with the events of a channel for as long as the connection lives, and pauses it while they can't be heard.
 * Resolves with the first subscription.
 */
export async function follow (redis: Redis, channel: string, cache: SessionCache): Promise<void> {
  await new Promise<void>(resolve => {
    // A subscription can be made again at no cost. So this is the heartbeat too: a subscriber that only listened would
    // never learn that the other side is gone. And it is the next attempt when Redis refused the last.
    const subscribe = (): void => {
      redis.subscribe(channel).then(() => {
        cache.resume()
        resolve()
      }, () => {})
    }
    let heartbeat: NodeJS.Timeout
    redis.on('ready', () => {
      subscribe()
      heartbeat = setInterval(subscribe, HEARTBEAT)
    })
    redis.on('close', () => {
      clearInterval(heartbeat)
      cache.pause()
    })
    redis.on('message', (_channel, text: string) => {
      const id = userOf(text)
      if (id === undefined) cache.clear()
      else cache.forget(id)
    })
  })
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
