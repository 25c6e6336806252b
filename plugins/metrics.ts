import fp from 'fastify-plugin'
import { watchReconnects } from '#src/redis/connection-events'
import { createRequestObserver } from '#src/metrics/requests'

/** Observes every route that is added after this plugin, and this listener's connection to Redis. */
export default fp(async app => {
  const { metrics, redis, listener } = app
  app.addHook('onRoute', route => {
    route.onResponse = [route.onResponse ?? [], createRequestObserver(metrics, listener, route)].flat()
  })
  metrics.connections.set(listener, redis)
  watchReconnects(redis, () => { metrics.reconnects[listener]++ })
}, { name: 'metrics', dependencies: ['redis'] })
