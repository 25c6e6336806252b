import { createClient, isCluster, whenReady, type ClientOptions, type RedisClient } from '../../../src/redis/client.ts'
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
   * Waits for the first connection. After that, a look-up without a connection fails at once.
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

/** Connects a Cluster client that is not connected yet, because it knows no servers until then. */
export function useClient (redis: RedisClient): Connection {
  const isReady = !isCluster(redis) || redis.status === 'ready'
  const ready = isReady ? Promise.resolve() : new Promise<void>(resolve => { redis.once('ready', resolve) })
  if (isCluster(redis) && redis.status === 'wait') redis.connect().catch(() => {})
  return {
    redis,
    connected: async () => await orUnavailable(ready, () => 'no connection'),
    disconnect: async () => {}
  }
}
