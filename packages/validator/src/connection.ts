import { createClient, whenReady, type ClientOptions, type RedisClient } from '../../../src/redis/client.ts'
import { disconnect } from '../../../src/redis/subscriber.ts'
import { watchReasons } from '../../../src/redis/connection-events.ts'
import { parseRedisUrl } from '../../../src/settings/redis-url.ts'
import { orUnavailable } from './errors.ts'
import type { Settings } from './options.ts'

/** No ready check: it needs INFO, which a reader may not run. A server that is still loading refuses commands anyway. */
export const readerOptions = { connectionName: 'session-validator', enableReadyCheck: false }

/** The client that looks up sessions. It reconnects by itself; each look-up reports its own failure. */
export interface Connection {
  redis: RedisClient
  /**
   * Waits for the first connection. After that, each look-up meets the state of the connection itself.
   * @throws SessionValidationError `unavailable`
   */
  connected (): Promise<void>
  /** Ends the connection. The caller's own client stays open. */
  disconnect (): Promise<void>
}

/** Connects to the master, or to the Cluster masters, unless the caller gave a client. */
export function connect ({ redis, ...options }: Settings): Connection {
  return typeof redis === 'string' ? connectTo(redis, options) : useClient(redis)
}

function connectTo (url: string, options: ClientOptions): Connection {
  const redis = createClient(parseRedisUrl(url)!, options, readerOptions)
  const { lastReason } = watchReasons(redis)
  const ready = whenReady(redis)
  redis.connect().catch(() => {}) // ioredis keeps retrying by itself
  return {
    redis,
    connected: async () => await orUnavailable(ready, lastReason),
    disconnect: async () => await disconnect(redis)
  }
}

/** Takes the caller's client, and connects it if it waits for a first command. */
export function useClient (redis: RedisClient): Connection {
  // Look-ups on a client that the caller has ended fail at once.
  const isSettled = redis.status === 'ready' || redis.status === 'end'
  const ready = isSettled ? Promise.resolve() : new Promise<void>(resolve => { redis.once('ready', resolve) })
  if (redis.status === 'wait') redis.connect().catch(() => {})
  return {
    redis,
    connected: async () => await orUnavailable(ready, () => 'no connection'),
    disconnect: async () => {}
  }
}
