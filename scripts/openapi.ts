import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildApp } from '#src/app'
import { loadConfig, type RunnableConfig } from '#src/config/environment'
import { withDevelopmentSecrets } from '#src/config/development-secrets'
import { createHealth } from '#src/health'
import { createLogger } from '#src/log/log'
import { createMetrics } from '#src/metrics/metrics'
import { everyRoute } from '#src/openapi/about'
import { apiDocument, toText } from '#src/openapi/document'
import { planEmbeddedRedis, startEmbeddedRedis } from '#src/embedded/embedded'
import type { Listeners } from '#src/http/listeners'

// `npm run openapi`: writes docs/openapi.json from the routes of both listeners. Builds the real apps on a Redis of their own;
// the apps never listen.

const DATA_DIR = await mkdtemp(join(tmpdir(), 'rts-openapi-'))
const config = await withDevelopmentSecrets(loadConfig({ DATA_DIR, LOG_LEVEL: 'warn', ...everyRoute }))
const logger = createLogger(config.LOG_LEVEL)
const redis = await startEmbeddedRedis(await planEmbeddedRedis(DATA_DIR), logger)
const listeners: Listeners = {}
const health = createHealth()
try {
  const complete = { ...config, REDIS_URL: redis.url } as RunnableConfig
  const options = { config: complete, health, metrics: createMetrics(health), logger, listeners }
  await buildApp('public', options)
  await buildApp('internal', options)
  await writeFile(process.argv[2] ?? 'docs/openapi.json', toText(apiDocument(listeners)))
} finally {
  for (const app of Object.values(listeners)) await app.close()
  await redis.stop()
  await rm(DATA_DIR, { recursive: true })
}
