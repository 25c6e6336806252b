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
 * What the public listener turns away: everything while this replica has more to do than it can answer in time, and, as
 * configured, addresses and sessions that ask too often. The internal listener has few callers, and its health checks
 * must get through to a busy replica: its load balancer would give the others what this one has.
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
  // under-pressure knows of a burst when it is over; the gate knows at once, and before a body is read.
  app.addHook('onRequest', (_request, _reply, done) => { done(gate.refusal()) })

  const byAddress = parseRate(config.RATE_LIMIT_PER_ADDRESS)
  const bySession = parseRate(config.RATE_LIMIT_PER_SESSION)
  if (byAddress !== undefined || bySession !== undefined) app.decorateRequest('limitName', '')
  if (byAddress !== undefined) {
    const limit = await createLimiter(app, 'address', byAddress, gate)
    const nameOf = createAddressNames(config.REFRESH_TOKEN_SECRETS)
    const aborted = new Aborted()
    app.addHook('onRequest', async request => {
      // A connection that is gone has no address.
      if (request.ip === undefined) throw aborted
      await limit(request, nameOf(request.ip))
    })
  }
  app.decorate('limitSession', bySession && await createLimiter(app, 'session', bySession, gate))
}, { name: 'protect', dependencies: ['errors', 'redis'] })

declare module 'fastify' {
  interface FastifyInstance {
    /** Of the public listener alone, and so is `limitSession`. */
    gate: Gate
    /** `undefined` while sessions are not limited. */
    limitSession: Limiter | undefined
  }
}
