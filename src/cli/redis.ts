import { pino } from 'pino'
import type { Config } from '#src/config/environment'
import { redisOptions, sessionOptions } from '#src/config/options'
import { findEmbeddedRedis } from '#src/embedded/embedded'
import { StartError } from '#src/errors'
import type { RedisClient } from '#src/redis/client'
import { connectRedis } from '#src/redis/connect'
import { createSessionStore, type SessionStore } from '#src/sessions/store'

/**
 * Connects as the service does, to `REDIS_URL` or else to the embedded Redis of a service on this machine; runs `work`, then
 * disconnects.
 * @throws StartError when there is neither.
 */
export async function withRedis<T> (config: Config, work: (redis: RedisClient) => Promise<T>): Promise<T> {
  const { REDIS_URL: url = await findEmbeddedRedis(config.DATA_DIR), DATA_DIR: dataDir } = config
  if (url === undefined) {
    throw new StartError(`REDIS_URL is not set, and no embedded Redis answers under DATA_DIR ${dataDir}: set the one, or run this in the folder of a running npm start.`)
  }
  const redis = await connectRedis(redisOptions({ ...config, REDIS_URL: url }), pino({ level: 'silent' }))
  try {
    return await work(redis)
  } finally {
    redis.disconnect()
  }
}

/** Runs `work` with the service's own store, so that the same rules apply and ended sessions are announced too. */
export async function withStore<T> (config: Config, work: (store: SessionStore) => Promise<T>): Promise<T> {
  return await withRedis(config, async redis => await work(createSessionStore(redis, {
    ...sessionOptions(config),
    // WAIT may block this connection, because the command line runs one command at a time.
    waitForReplicas: config.REDIS_WAIT_REPLICAS > 0 ? { redis, replicas: config.REDIS_WAIT_REPLICAS } : undefined
  })))
}
