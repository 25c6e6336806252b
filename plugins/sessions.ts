import fp from 'fastify-plugin'
import { sessionOptions } from '#src/config/options'
import { createSessionStore, type SessionStore } from '#src/sessions/store'

/** `app.sessions`: the session store, on this listener's Redis connection. */
export default fp(async app => {
  const store = createSessionStore(app.redis, {
    ...sessionOptions(app.config),
    waitForReplicas: app.waitForReplicas,
    observe: (command, seconds, result, reply) => {
      app.metrics.observeScript(command, seconds, result, reply)
      app.audit.observe(command, reply)
    }
  })
  // Not fatal: Redis may soon accept writes, and /readyz reports it until then. Ops still need the warning.
  await store.probe().catch(err => app.log.warn({ err }, 'Redis would not run a refresh now'))
  app.decorate('sessions', store)
  app.health.probes.push(store.probe)
  app.metrics.clocks.set(app.listener, store.takeClockAhead)
}, { name: 'sessions', dependencies: ['redis', 'audit'] })

declare module 'fastify' {
  interface FastifyInstance {
    sessions: SessionStore
  }
}
