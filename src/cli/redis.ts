import { pino } from 'pino'
import type { Config } from '#src/config/environment'
import { StartError } from '#src/errors'
import type { RedisClient } from '#src/redis/client'
import { connectRedis } from '#src/redis/connect'
import { findEmbeddedRedis } from '#src/embedded/embedded'
import { createSessionStore, type SessionStore } from '#src/sessions/store'

/**
 * The `REDIS_URL` of the configuration, else that of the embedded Redis of a service that runs on this machine.
 * @throws StartError when there is neither.
 */
async function resolveRedisUrl ({ REDIS_URL: url, DATA_DIR: dataDir }: Config): Promise<string> {
  const found = url ?? await findEmbeddedRedis(dataDir)
  if (found === undefined) {
    throw new StartError(`REDIS_URL is not set, and no embedded Redis answers under DATA_DIR ${dataDir}: set the one, or run this in the folder of a running npm start.`)
  }
  return found
}

/** Connects as the service does, and disconnects when the work is done. */
export async function withRedis<T> (config: Config, work: (redis: RedisClient) => Promise<T>): Promise<T> {
  const redis = await connectRedis({ ...config, REDIS_URL: await resolveRedisUrl(config) }, pino({ level: 'silent' }))
  try {
    return await work(redis)
  } finally {
    redis.disconnect()
  }
}

/** The store of the service, so that its rules are the only ones, and what is ended here is announced too. */
export async function withStore<T> (config: Config, work: (store: SessionStore) => Promise<T>): Promise<T> {
  return await withRedis(config, async redis => await work(createSessionStore(redis, {
    prefix: config.REDIS_PREFIX,
    idleTtl: config.REFRESH_IDLE_TTL,
    absoluteTtl: config.REFRESH_ABSOLUTE_TTL,
    retryWindow: config.REFRESH_RETRY_WINDOW,
    maxSessionsPerUser: config.MAX_SESSIONS_PER_USER,
    // A command does one thing at a time: it may be on the connection that WAIT holds up.
    replicated: config.REDIS_WAIT_REPLICAS > 0 ? { redis, replicas: config.REDIS_WAIT_REPLICAS } : undefined
  })))
}
