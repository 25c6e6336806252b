import underPressure from '@fastify/under-pressure'
import fp from 'fastify-plugin'
import { Aborted } from '#src/errors'
import { idTrust } from '#src/http/request-ids'
import { createAddressNames } from './address.ts'
import { createGate, type Gate } from './gate.ts'
import { createLimiter, type Limiter } from './limiter.ts'
import { limitConnectionsPerAddress } from './per-address.ts'
import { parseRate } from '#src/settings/rate'
import { MAX_CONNECTIONS, MAX_EVENT_LOOP_DELAY, SAMPLE_INTERVAL } from './thresholds.ts'

/**
 * Overload protection of the public listener. Turns away excess requests while this replica can't answer them all in time,
 * and, if configured, addresses and sessions that send too many. The internal listener is not protected: it has few callers,
 * and its health checks must reach a busy replica, or the load balancer would move that replica's load to the others.
 */
export const protect = fp(async app => {
  const { config, server, turnedAway } = app
  const gate = createGate(config.MAX_REFRESHES_IN_FLIGHT)
  app.decorate('gate', gate)

  server.maxConnections = MAX_CONNECTIONS
  server.on('drop', () => turnedAway.count('connections'))
  if (config.MAX_CONNECTIONS_PER_ADDRESS > 0) {
    const onSurplus = (): void => { turnedAway.count('address_connections') }
    limitConnectionsPerAddress(server, config.MAX_CONNECTIONS_PER_ADDRESS, idTrust('public', config), onSurplus)
  }
  await app.register(underPressure, {
    maxEventLoopDelay: MAX_EVENT_LOOP_DELAY,
    sampleInterval: SAMPLE_INTERVAL,
    pressureHandler: gate.assertNotBusy
  })
  // under-pressure notices a burst only when it is over; the concurrency limit notices it at once, before a body is read.
  app.addHook('onRequest', (_request, _reply, done) => { done(gate.refusal()) })

  const byAddress = parseRate(config.RATE_LIMIT_PER_ADDRESS)
  const bySession = parseRate(config.RATE_LIMIT_PER_SESSION)
  if (byAddress !== undefined || bySession !== undefined) app.decorateRequest('limitName', '')
  if (byAddress !== undefined) {
    const limit = await createLimiter(app, 'address', byAddress, gate)
    const nameOf = createAddressNames(config.REFRESH_TOKEN_SECRETS)
    const aborted = new Aborted()
    app.addHook('onRequest', async request => {
      // A closed connection has no address.
      if (request.ip === undefined) throw aborted
      await limit(request, nameOf(request.ip))
    })
  }
  app.decorate('limitSession', bySession && await createLimiter(app, 'session', bySession, gate))
}, { name: 'protect', dependencies: ['errors', 'redis'] })

declare module 'fastify' {
  interface FastifyInstance {
    /** Only on the public listener, like `limitSession`. */
    gate: Gate
    /** `undefined` while sessions are not limited. */
    limitSession: Limiter | undefined
  }
}
