import fp from 'fastify-plugin'
import { callerKeys } from '#src/config/options'
import type { SessionStore } from '#src/sessions/store'
import type { PublicJwk } from '#src/tokens/private-keys'
import type { Tokens } from '#src/tokens/tokens'
import { HOST, type Host } from './host.ts'
import refreshTokens from './index.ts'
import { toOptions } from './options.ts'
import { coreOf } from './plugin.ts'

/**
 * Registers the plugin as any app does, with options from the configuration, and shares the listener's Redis connection, limits and
 * metrics with it. The internal listener has no routes for clients.
 */
export const service = fp(async app => {
  const { config, redis, waitForReplicas, metrics, audit, reporter, listener, health } = app
  const { concurrencyLimit = { acquire () {}, release () {} }, limitSession } = app
  const host: Host = {
    redis,
    waitForReplicas,
    reporter,
    limits: { concurrencyLimit, limitSession },
    clients: callerKeys(config),
    observe: (command, seconds, result, reply) => {
      metrics.observeScript(command, seconds, result, reply)
      audit.observe(command, reply)
    }
  }
  const options = { ...toOptions(config), redis, routes: listener === 'public' ? { prefix: '/api/ps' } : false as const, [HOST]: host }
  await app.register(refreshTokens, options)
  const { store, tokens, jwks } = coreOf(app.sessions)
  app.decorate('store', store)
  app.decorate('tokens', tokens)
  app.decorate('jwks', jwks)
  health.probes.push(store.probe)
  metrics.clocks.set(listener, store.takeClockAhead)
}, { name: 'service', dependencies: ['redis', 'audit', 'errors', 'metrics'] })

declare module 'fastify' {
  interface FastifyInstance {
    store: SessionStore
    tokens: Tokens
    /** Public keys of `ACCESS_TOKEN_PRIVATE_KEYS`; empty if only secrets are configured. */
    jwks: PublicJwk[]
  }
}
