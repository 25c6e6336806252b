import underPressure from '@fastify/under-pressure'
import fp from 'fastify-plugin'
import { Aborted } from '#src/errors'
import { createAddressNames } from './rate-limit-names.ts'
import { createConcurrencyLimit, type ConcurrencyLimit } from './concurrency-limit.ts'
import { createLimiter, type Limiter } from './rate-limit.ts'
import { limitConnectionsPerAddress } from './connections-per-address.ts'
import type { Rate } from '#src/settings/rate'
import { MAX_CONNECTIONS, MAX_EVENT_LOOP_DELAY, SAMPLE_INTERVAL } from './thresholds.ts'

export interface ProtectOptions {
  maxRefreshesInFlight: number
  /** 0 for no maximum. */
  maxConnectionsPerAddress: number
  /** `undefined` for no limit. */
  ratePerAddress: Rate | undefined
  ratePerSession: Rate | undefined
  redisPrefix: string
  /** Comma-separated; the key that hashes addresses is derived from the first. */
  refreshTokenSecrets: string
  /** Whether connections from this address carry the requests of many clients. */
  isProxy: (address: string) => boolean
}

/**
 * Overload protection of the public listener. Turns away excess requests while this replica can't answer them all in time,
 * and, if configured, addresses and sessions that send too many. The internal listener is not protected: it has few callers,
 * and its health checks must reach a busy replica, or the load balancer would move that replica's load to the others.
 */
export const protect = fp<ProtectOptions>(async (app, options) => {
  const { server, reporter: { turnedAway } } = app
  const { redisPrefix, ratePerAddress, ratePerSession } = options
  const concurrencyLimit = createConcurrencyLimit(options.maxRefreshesInFlight)
  app.decorate('concurrencyLimit', concurrencyLimit)

  server.maxConnections = MAX_CONNECTIONS
  server.on('drop', () => turnedAway.count('connections'))
  if (options.maxConnectionsPerAddress > 0) {
    const onSurplus = (): void => { turnedAway.count('address_connections') }
    limitConnectionsPerAddress(server, options.maxConnectionsPerAddress, options.isProxy, onSurplus)
  }
  await app.register(underPressure, {
    maxEventLoopDelay: MAX_EVENT_LOOP_DELAY,
    sampleInterval: SAMPLE_INTERVAL,
    pressureHandler: concurrencyLimit.assertBelowTenth
  })
  // under-pressure notices a burst only when it is over; the concurrency limit notices it at once, before a body is read.
  app.addHook('onRequest', (_request, _reply, done) => { done(concurrencyLimit.refusal()) })

  if (ratePerAddress !== undefined || ratePerSession !== undefined) app.decorateRequest('limitName', '')
  if (ratePerAddress !== undefined) {
    const limit = await createLimiter(app, { by: 'address', rate: ratePerAddress, redisPrefix, concurrencyLimit })
    const nameOf = createAddressNames(options.refreshTokenSecrets)
    const aborted = new Aborted()
    app.addHook('onRequest', async request => {
      // A closed connection has no address.
      if (request.ip === undefined) throw aborted
      await limit(request, nameOf(request.ip))
    })
  }
  app.decorate('limitSession', ratePerSession && await createLimiter(app, { by: 'session', rate: ratePerSession, redisPrefix, concurrencyLimit }))
}, { name: 'protect', dependencies: ['errors', 'redis'] })

declare module 'fastify' {
  interface FastifyInstance {
    /** Only on the public listener, like `limitSession`. */
    concurrencyLimit: ConcurrencyLimit
    /** `undefined` while sessions are not limited. */
    limitSession: Limiter | undefined
  }
  interface FastifyRequest {
    /** Key that a rate limit is about to count; exists only if a rate limit is configured. */
    limitName: string
  }
}
