import fp from 'fastify-plugin'
import { createSessionStore, type SessionStore } from '#src/sessions/store'

/** `app.sessions`: the session store, on this listener's Redis connection. */
export default fp(async app => {
  const { config } = app
  const store = createSessionStore(app.redis, {
    prefix: config.REDIS_PREFIX,
    idleTtl: config.REFRESH_IDLE_TTL,
    absoluteTtl: config.REFRESH_ABSOLUTE_TTL,
    retryWindow: config.REFRESH_RETRY_WINDOW,
    maxSessionsPerUser: config.MAX_SESSIONS_PER_USER,
    waitForReplicas: app.waitForReplicas,
    observe: app.metrics.observeScript
  })
  // Not fatal: Redis may soon accept writes, and /readyz reports it until then. Ops still need the warning.
  await store.probe().catch(err => app.log.warn({ err }, 'Redis would not run a refresh now'))
  app.decorate('sessions', store)
  app.health.probes.push(store.probe)
  app.metrics.clocks.set(app.listener, store.takeClockAhead)
}, { name: 'sessions', dependencies: ['redis'] })

declare module 'fastify' {
  interface FastifyInstance {
    sessions: SessionStore
  }
}
