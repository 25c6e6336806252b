import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { TurnedAway } from '#src/errors'
import { isCatchingUp } from '#src/http/stall'
import { withTimeout } from '#src/timeout'
import type { ConcurrencyLimit } from './concurrency-limit.ts'
import type { Rate } from '#src/settings/rate'
import { RATE_LIMIT_TIMEOUT } from './thresholds.ts'

/**
 * Counts a request under the name of an address or a session.
 * @throws TurnedAway when the name has exceeded its rate, or when too many requests wait for Redis.
 */
export type Limiter = (request: FastifyRequest, name: string) => Promise<void>

export interface LimiterOptions {
  by: 'address' | 'session'
  rate: Rate
  redisPrefix: string
  /** Counts the requests that wait for a check. */
  concurrencyLimit: ConcurrencyLimit
}

type Check = ReturnType<FastifyInstance['createRateLimit']>

/**
 * Creates a rate limit on the counters `<prefix>limit:<by>:<name>`, which expire with their windows. While Redis is down or
 * slow, no request is limited: the refresh itself reports the failure, and must do so within its second.
 */
export async function createLimiter (app: FastifyInstance, options: LimiterOptions): Promise<Limiter> {
  const { by, rate: { max, seconds }, redisPrefix, concurrencyLimit } = options
  let check: Check
  // A scope for each limit, because the plugin supports one namespace for each registration.
  await app.register(async scope => {
    await scope.register(rateLimit, {
      global: false,
      max,
      timeWindow: seconds * 1000,
      redis: app.redis,
      nameSpace: `${redisPrefix}limit:${by}:`,
      skipOnError: true,
      keyGenerator: request => request.limitName
    })
    check = scope.createRateLimit()
  })

  return async (request, name) => {
    // A request that may have waited in a frozen process is refused as late, but only if it reaches the refresh while the
    // process still catches up. Counting takes time, so the request would look new afterwards.
    if (isCatchingUp()) return
    concurrencyLimit.acquire()
    try {
      request.limitName = name
      const counted = await withTimeout(check(request), RATE_LIMIT_TIMEOUT, () => undefined)
      if (counted?.isAllowed === false && counted.isExceeded) throw new TurnedAway(by, Math.max(counted.ttlInSeconds, 1))
    } finally {
      concurrencyLimit.release()
    }
  }
}
