import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { TurnedAway } from '#src/errors'
import { isCatchingUp } from '#src/http/stall'
import type { Gate } from './gate.ts'
import type { Rate } from '#src/settings/rate'
import { RATE_LIMIT_TIMEOUT } from './thresholds.ts'

/**
 * Counts a request of this name: an address's or a session's.
 * @throws TurnedAway when there were too many of it, or when too many requests wait for Redis.
 */
export type Limiter = (request: FastifyRequest, name: string) => Promise<void>

type Check = ReturnType<FastifyInstance['createRateLimit']>

/**
 * A limit by the counters `<prefix>limit:<by>:<name>`, each of which expires with its window. A Redis that is away or
 * slow limits nobody: the refresh itself will tell of it, and must do so within its second.
 */
export async function createLimiter (app: FastifyInstance, by: 'address' | 'session', { max, seconds }: Rate, gate: Gate): Promise<Limiter> {
  let check: Check
  // A scope for each: the plugin knows one namespace a registration.
  await app.register(async scope => {
    await scope.register(rateLimit, {
      global: false,
      max,
      timeWindow: seconds * 1000,
      redis: app.redis,
      nameSpace: `${app.config.REDIS_PREFIX}limit:${by}:`,
      skipOnError: true,
      keyGenerator: request => request.limitName
    })
    check = scope.createRateLimit()
  })

  return async (request, name) => {
    // What may have waited in a frozen process is refused as late, but only if it asks Redis at once: counted first, it would
    // come to the refresh when all that waited has been read, and look new.
    if (isCatchingUp()) return
    gate.enter()
    let timer
    const timeout = new Promise<undefined>(resolve => { timer = setTimeout(() => resolve(undefined), RATE_LIMIT_TIMEOUT) })
    try {
      request.limitName = name
      const counted = await Promise.race([check(request), timeout])
      if (counted?.isAllowed === false && counted.isExceeded) throw new TurnedAway(by, Math.max(counted.ttlInSeconds, 1))
    } finally {
      clearTimeout(timer)
      gate.leave()
    }
  }
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Whom a limit is about to count; where limits are on. */
    limitName: string
  }
}
