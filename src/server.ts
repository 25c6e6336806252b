import { setTimeout as delay } from 'node:timers/promises'
import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import { buildApp, type AppOptions } from './app.ts'
import { isProduction, loadConfig } from './config.ts'
import { withDevelopmentSecrets } from './development-secrets.ts'
import { closeConnectionsAfterAnswers, drain } from './drain.ts'
import { StartError } from './errors.ts'
import { createHealth } from './health.ts'
import { createLogger } from './log.ts'
import { startEmbeddedRedis } from './redis/embedded.ts'
import { parseRedisUrl } from './redis/url.ts'

/**
 * The process: its configuration, its Redis, both listeners, and its end. Nothing else reads signals or exits.
 */

/** Milliseconds after `SHUTDOWN_DELAY` in which requests in flight may finish; the whole end takes at most one more. */
const GRACE = 4000

/** What has been started, to be closed in two steps: the listeners side by side, then what they stand on. */
const listeners: FastifyInstance[] = []
const foundations: Array<() => Promise<void>> = []

async function start (): Promise<AppOptions> {
  const config = loadConfig()
  const logger = createLogger(config.LOG_LEVEL)
  const mode = isProduction(config) ? 'production' : 'development'
  let redis = ''
  let url = config.REDIS_URL
  if (url === undefined) {
    const embedded = await startEmbeddedRedis(config.DATA_DIR, logger)
    foundations.push(embedded.stop)
    url = embedded.url
    redis = 'embedded, '
  }

  const options = { config: { ...await withDevelopmentSecrets(config), REDIS_URL: url }, health: createHealth(), logger }
  const publicApp = await buildApp('public', options)
  listeners.push(publicApp)
  const internalApp = await buildApp('internal', options)
  listeners.push(internalApp)

  const addresses = {
    public: await listen(publicApp, config.HOST, config.PORT, 'PORT'),
    internal: await listen(internalApp, config.INTERNAL_HOST, config.INTERNAL_PORT, 'INTERNAL_PORT')
  }
  logger.info({ ...addresses, redis: redis + parseRedisUrl(url)!.display, mode }, 'refresh-token-service is ready')
  return options
}

/** The address to reach the listener at. */
async function listen (app: FastifyInstance, host: string, port: number, name: string): Promise<string> {
  try {
    return await app.listen({ host, port, listenTextResolver: address => `listening at ${address}` })
  } catch (err) {
    throw new StartError(`${name} ${port} can't be listened on at ${host}: ${(err as Error).message}.`)
  }
}

async function close (): Promise<void> {
  await Promise.all(listeners.map(async app => await drain(app, GRACE)))
  for (const end of foundations) await end()
}

try {
  const { config, health, logger } = await start()
  closeWithGrace({ delay: config.SHUTDOWN_DELAY * 1000 + GRACE + 1000, logger }, async ({ signal, err }) => {
    if (err !== undefined) {
      logger.fatal({ err }, 'the process ends on an error that nobody handled')
    } else {
      logger.info({ signal, delay: config.SHUTDOWN_DELAY }, 'closing')
      health.draining = true
      listeners.forEach(closeConnectionsAfterAnswers)
      await delay(config.SHUTDOWN_DELAY * 1000)
    }
    await close()
  })
} catch (err) {
  await close()
  console.error(err instanceof StartError ? err.message : err)
  process.exit(1)
}
