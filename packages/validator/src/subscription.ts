import type { Redis } from 'ioredis'
import { createSubscriber as createRedisSubscriber, subscribe as subscribeTo, type Subscription } from '../../../src/redis/subscriber.ts'
import type { RedisClient } from '../../../src/redis/client.ts'
import { isUserId, type UserId } from '../../../src/tokens/user-id.ts'
import type { SessionCache } from './cache.ts'
import { readerOptions } from './connection.ts'

export type { Subscription }

/** Applies the events of a channel to a cache, and pauses the cache while there is no subscription. */
export function subscribe (create: () => Redis | undefined, channel: string, cache: SessionCache): Subscription {
  return subscribeTo(create, channel, {
    up: cache.resume,
    down: cache.pause,
    message (text) {
      const id = userOf(text)
      if (id === undefined) cache.clear()
      else cache.dropUser(id)
    }
  })
}

/** Creates a connection for events; `undefined` while no server is known. */
export function createSubscriber (redis: RedisClient): Redis | undefined {
  return createRedisSubscriber(redis, readerOptions)
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
