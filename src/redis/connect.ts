import type { FastifyBaseLogger } from 'fastify'
import { StartError } from '#src/errors'
import { withTimeout } from '#src/timeout'
import { checkRedis, type Finding, type Needs } from './checks.ts'
import { createClient, whenReady, type ClientOptions, type RedisClient } from './client.ts'
import { logChanges, watchReasons } from './connection-events.ts'
import { parseRedisUrl } from '#src/settings/redis-url'
import { failureHint } from './failure-hint.ts'

export interface ConnectOptions extends ClientOptions {
  /** `REDIS_URL`, valid. */
  url: string
  needs: Needs
}

/** Milliseconds that the start waits for Redis, which may be starting too. A failed start must end within ten seconds. */
const START_TIMEOUT = 8000

/**
 * Connects to the Redis of `REDIS_URL`, in any topology, and checks that it meets our needs. Logs faults that are not
 * fatal.
 * @throws StartError when Redis does not answer in time, refuses us, or is too old. The sentence names the address, never
 * a password.
 */
export async function connectRedis ({ url, needs, ...options }: ConnectOptions, log: FastifyBaseLogger): Promise<RedisClient> {
  const address = parseRedisUrl(url)!
  const { display } = address
  const redis = createClient(address, options)
  const { lastReason, refused } = watchReasons(redis)

  log.debug({ redis: display }, 'waiting for Redis')
  try {
    const checked = check(redis, needs, display)
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
async function check (redis: RedisClient, needs: Needs, display: string): Promise<Finding[]> {
  await whenReady(redis)
  try {
    return await checkRedis(redis, needs, display)
  } catch (err) {
    if ((err as Error).name === 'ReplyError') throw err
    return await check(redis, needs, display)
  }
}
