import type { FastifyBaseLogger } from 'fastify'
import type { RunnableConfig } from '#src/config/environment'
import { StartError } from '#src/errors'
import { withTimeout } from '#src/timeout'
import { checkRedis, type Finding, type Needs } from './checks.ts'
import { createClient, whenReady, type RedisClient } from './client.ts'
import { logChanges, watchReasons } from './connection-events.ts'
import { readTlsFiles } from '#src/settings/tls-files'
import { parseRedisUrl } from '#src/settings/redis-url'
import { failureHint } from './failure-hint.ts'

/** The part of the configuration with Redis's address, our login, and the features that need Redis. */
export type RedisSettings = Needs & Pick<RunnableConfig, 'REDIS_URL' | 'REDIS_CA_FILE' | 'REDIS_CERT_FILE' |
  'REDIS_KEY_FILE' | 'REDIS_SENTINEL_USERNAME' | 'REDIS_SENTINEL_PASSWORD'>

/** Milliseconds that the start waits for Redis, which may be starting too. A failed start must end within ten seconds. */
const START_TIMEOUT = 8000

/**
 * Connects to the Redis of `REDIS_URL`, in any topology, and checks that it meets our needs. Logs faults that are not
 * fatal.
 * @throws StartError when Redis does not answer in time, refuses us, or is too old. The sentence names the address, never
 * a password.
 */
export async function connectRedis (settings: RedisSettings, log: FastifyBaseLogger): Promise<RedisClient> {
  const address = parseRedisUrl(settings.REDIS_URL)!
  const { display } = address
  const redis = createClient(address, {
    tls: readTlsFiles(settings),
    sentinelUsername: settings.REDIS_SENTINEL_USERNAME,
    sentinelPassword: settings.REDIS_SENTINEL_PASSWORD
  })
  const { lastReason, refused } = watchReasons(redis)

  log.debug({ redis: display }, 'waiting for Redis')
  try {
    const checked = check(redis, settings, display)
    redis.connect().catch(() => {}) // ioredis goes on trying by itself
    const findings = await withTimeout(Promise.race([checked, refused]), START_TIMEOUT, () => { throw new Error('no answer') })
    for (const { fatal, text } of findings) {
      if (fatal) throw new StartError(text)
      log.warn({ redis: display }, text)
    }
  } catch (err) {
    redis.disconnect()
    if (err instanceof StartError) throw err
    const reason = lastReason(err)
    throw new StartError(`Redis at ${display} (REDIS_URL) can't be used: ${await failureHint(address, reason) ?? reason.replace(/\.$/, '')}.`)
  }
  logChanges(redis, display, lastReason, log)
  return redis
}

/** Checks Redis once the client is ready. Checks again when a connection was lost meanwhile; only Redis's own errors are final. */
async function check (redis: RedisClient, settings: RedisSettings, display: string): Promise<Finding[]> {
  await whenReady(redis)
  try {
    return await checkRedis(redis, settings, display)
  } catch (err) {
    if ((err as Error).name === 'ReplyError') throw err
    return await check(redis, settings, display)
  }
}
