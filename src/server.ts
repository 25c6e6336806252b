import { setTimeout as delay } from 'node:timers/promises'
import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { buildApp, type AppOptions } from './app.ts'
import { isProduction, loadConfig, type Config, type RunnableConfig } from '#src/config/environment'
import { FileSystemHangs } from '#src/config/data-dir'
import { withDevelopmentSecrets } from '#src/config/development-secrets'
import { closeConnectionsAfterAnswers, drain } from '#src/http/drain'
import { StartError } from './errors.ts'
import { createHealth, type Health } from './health.ts'
import { createLogger, standardOutput } from '#src/log/log'
import { createMetrics } from '#src/metrics/metrics'
import { planEmbeddedRedis, startEmbeddedRedis } from '#src/embedded/embedded'
import { parseRedisUrl } from '#src/settings/redis-url'
import { onEndingSignal, SIGNALS } from './signals.ts'
import { BACKLOG, watchForStalls } from '#src/http/stall'
import type { Listener } from '#src/http/listeners'

// The process: configuration, embedded Redis, both listeners, shutdown. No other part of the service reads signals or
// exits. The command line's verb `start` imports this file; its other verbs run without it, src/cli/main.ts.

/** After `SHUTDOWN_DELAY`, requests in flight have `GRACE` milliseconds to finish, and the process at most `END` milliseconds to end. */
const GRACE = 3500
const END = 5000

/** Started parts, closed in two steps: first the listeners, all at once, then the foundations they depend on (the embedded Redis). */
const listeners: FastifyInstance[] = []
const foundations: Array<() => Promise<void>> = []

async function start (config: Config, health: Health, logger: Logger): Promise<void> {
  const { redis, ...complete } = await prepare(config, logger)
  await buildListeners({ config: complete, health, metrics: createMetrics(health, output), logger, listeners: {} })
  watchForStalls()
  const [publicApp, internalApp] = listeners as [FastifyInstance, FastifyInstance]
  const addresses = {
    public: await listen(publicApp, config.HOST, config.PORT, 'PORT'),
    internal: await listen(internalApp, config.INTERNAL_HOST, config.INTERNAL_PORT, 'INTERNAL_PORT')
  }
  logger.info({ ...addresses, redis, mode: isProduction(config) ? 'production' : 'development' }, 'refresh-token-service is ready')
}

/** On a development machine, adds the missing secrets and an embedded Redis. `redis` describes the Redis for the log. */
async function prepare (config: Config, logger: Logger): Promise<RunnableConfig & { redis: string }> {
  // Planned before any file is written under DATA_DIR.
  const plan = config.REDIS_URL === undefined ? await planEmbeddedRedis(config.DATA_DIR) : undefined
  const complete = await withDevelopmentSecrets(config)
  if (plan === undefined) return { ...complete, REDIS_URL: config.REDIS_URL!, redis: parseRedisUrl(config.REDIS_URL!)!.display }
  const embedded = await startEmbeddedRedis(plan, logger)
  foundations.push(embedded.stop)
  return { ...complete, REDIS_URL: embedded.url, redis: `embedded, ${parseRedisUrl(embedded.url)!.display}` }
}

/** Builds both listeners at the same time, because each waits for Redis separately. */
async function buildListeners (options: AppOptions): Promise<void> {
  const names: Listener[] = ['public', 'internal']
  const built = await Promise.allSettled(names.map(async name => await buildApp(name, options)))
  for (const result of built) if (result.status === 'fulfilled') listeners.push(result.value)
  for (const result of built) if (result.status === 'rejected') throw result.reason
}

/** Returns the listener's address. */
async function listen (app: FastifyInstance, host: string, port: number, name: string): Promise<string> {
  try {
    return await app.listen({ host, port, backlog: BACKLOG, listenTextResolver: address => `listening at ${address}` })
  } catch (err) {
    const { code, message } = err as NodeJS.ErrnoException
    if (/^(ENOTFOUND|EAI_AGAIN|EADDRNOTAVAIL|EINVAL)$/.test(code!)) {
      throw new StartError(`${name.replace('PORT', 'HOST')} ${host} must be an address of this machine, such as 127.0.0.1 or 0.0.0.0: ${message}.`)
    }
    throw new StartError(`${name} ${port} can't be listened on at ${host}: ${message}.`)
  }
}

async function close (): Promise<void> {
  await Promise.all(listeners.map(async app => await drain(app, GRACE)))
  for (const end of foundations) await end()
  await output.flush()
}

const output = standardOutput()
try {
  const config = loadConfig()
  const logger = createLogger(config.LOG_LEVEL, output)
  const health = createHealth()
  let signal: string | undefined
  const grace = closeWithGrace({ delay: config.SHUTDOWN_DELAY * 1000 + END, logger, skip: SIGNALS }, async ({ err }) => {
    if (err !== undefined) {
      logger.fatal({ err }, 'the process ends on an error that nobody handled')
    } else {
      logger.info({ signal, delay: config.SHUTDOWN_DELAY }, 'closing')
      health.draining = true
      listeners.forEach(closeConnectionsAfterAnswers)
      // During the start there are no clients to wait for.
      if (listeners.length > 0) await delay(config.SHUTDOWN_DELAY * 1000)
    }
    await close()
  })
  onEndingSignal(first => {
    signal = first
    grace.close()
  }, second => {
    logger.error(`second ${second}, exiting`)
    process.exit(1)
  })
  await start(config, health, logger)
} catch (err) {
  console.error(err instanceof StartError ? err.message : err)
  /* c8 ignore next -- a process that is killed writes no coverage; test/system/embedded-data-dir.test.ts sees it end */
  if (err instanceof FileSystemHangs) process.kill(process.pid, 'SIGKILL')
  await close()
  process.exit(1)
}
