import fp from 'fastify-plugin'
import { ANNOUNCE_INTERVAL, withdrawKeys } from '#src/deployment/keys'
import { createWatch, type DeploymentWatch } from '#src/deployment/watch'
import { keyNames, signingKeys } from '#src/config/signing-keys'
import { withTimeout } from '#src/timeout'

/** Milliseconds that a closing replica waits for the withdrawal of its keys. */
const WITHDRAWAL_TIMEOUT = 200

/** `app.deployment`, only on the internal listener: one for each process is enough, and it shares no connection with refreshes. */
export default fp(async app => {
  const { config, redis, log, metrics, health } = app
  if (app.listener !== 'internal') return
  const names = keyNames(signingKeys(config))
  const ownership = { prefix: config.REDIS_PREFIX, issuer: config.JWT_ISSUER, absoluteTtl: config.REFRESH_ABSOLUTE_TTL }
  const watch = createWatch({ redis, ownership, names, log, onUnknownKeys: count => { metrics.unknownKeys = count } })
  await watch.start()
  app.decorate('deployment', watch)
  health.probes.push(watch.probe)
  const timer = setInterval(watch.recheck, ANNOUNCE_INTERVAL * 1000).unref()
  app.addHook('onClose', async () => {
    clearInterval(timer)
    await withTimeout(withdrawKeys(redis, config.REDIS_PREFIX, names), WITHDRAWAL_TIMEOUT, () => {}).catch(() => {})
  })
}, { name: 'deployment', dependencies: ['redis'] })

declare module 'fastify' {
  interface FastifyInstance {
    /** Only on the internal listener. */
    deployment: DeploymentWatch
  }
}
