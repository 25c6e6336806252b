import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import type { Test } from 'tap'
import { buildApp } from '#src/app'
import { loadConfig, type RunnableConfig } from '#src/config/environment'
import { createHealth, type Health } from '#src/health'
import { createLogger } from '#src/log/log'
import { createMetrics, type Metrics } from '#src/metrics/metrics'
import type { Listeners } from '#src/http/listeners'
import type { UserId } from '#src/tokens/user-id'
import { apiKey, guest, type TokensBody } from './processes.ts'
import type { PrivateRedis } from './redis/index.ts'

export { apiKey, guest, postRefresh, postSession, spawnService, startService, type ServiceProcess, type TokensBody } from './processes.ts'
export { startRedis, tempFolder, topology, type PrivateRedis } from './redis/index.ts'

/** Generated at every run, so that the repository contains no secrets. */
export const secret = (): string => randomBytes(64).toString('base64url')

/** A private key for access tokens, PEM (PKCS #8); also generated at every run. */
export function privateKey (algorithm: 'EdDSA' | 'ES256' | 'RS256'): string {
  const { privateKey } = algorithm === 'EdDSA'
    ? generateKeyPairSync('ed25519')
    : algorithm === 'ES256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('rsa', { modulusLength: 2048 })
  return privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
}

export interface Service {
  config: RunnableConfig & { ACCESS_TOKEN_SECRETS: string }
  health: Health
  metrics: Metrics
  public: FastifyInstance
  internal: FastifyInstance
  listeners: Listeners
  /** Everything logged so far, parsed. */
  log: Array<Record<string, unknown>>
  /** Opens a session through the internal API. */
  open (overrides?: object): Promise<TokensBody>
  /** Sends the documented refresh request. */
  refresh (refreshToken: string, deviceId?: string, headers?: Record<string, string>): Promise<LightMyRequestResponse>
  /** Sends the documented log-out request. */
  logOut (refreshToken: string, deviceId?: string): Promise<LightMyRequestResponse>
  /** Sends any request to the internal listener, with the API key. */
  call (method: 'GET' | 'POST' | 'DELETE' | 'PATCH', url: string, payload?: object): Promise<LightMyRequestResponse>
}

/** The environment of a service on a Redis, with a prefix and secrets of its own. */
export function environment (redisUrl: string, overrides: Record<string, string> = {}): Record<string, string> {
  return {
    REDIS_URL: redisUrl,
    // users.acl of deploy/redis allows this prefix.
    REDIS_PREFIX: `rt:${randomBytes(6).toString('hex')}:`,
    ACCESS_TOKEN_SECRETS: secret(),
    REFRESH_TOKEN_SECRETS: secret(),
    INTERNAL_API_KEY: apiKey,
    LOG_LEVEL: 'trace',
    ...overrides
  }
}

/** Polls every 10 ms until `isSo` returns true. Rejects after `seconds` with `expected`, which a runner's time-out could not name. */
export async function until (expected: string, isSo: () => boolean | Promise<boolean>, seconds = 20): Promise<void> {
  const end = performance.now() + seconds * 1000
  while (!await isSo()) {
    if (performance.now() > end) throw new Error(`not within ${seconds} s: ${expected}`)
    await delay(10)
  }
}

/** Builds both listeners of one service in this process; they close with the test. */
export async function build (t: Test, redis: Pick<PrivateRedis, 'url'> & Partial<PrivateRedis>, overrides: Record<string, string> = {}): Promise<Service> {
  const config = loadConfig(environment(redis.url, { ...redis.env, ...overrides })) as RunnableConfig
  const log: Array<Record<string, unknown>> = []
  const logger = createLogger(config.LOG_LEVEL, new Writable({
    write (line, _encoding, done) {
      log.push(JSON.parse(line))
      done()
    }
  }))
  const health = createHealth()
  const metrics = createMetrics(health)
  const listeners: Listeners = {}
  const publicApp = await buildApp('public', { config, health, metrics, logger, listeners })
  t.teardown(async () => await publicApp.close())
  const internalApp = await buildApp('internal', { config, health, metrics, logger, listeners })
  t.teardown(async () => await internalApp.close())

  const call: Service['call'] = async (method, url, payload) => await internalApp.inject({
    method, url, headers: { authorization: `Bearer ${apiKey}` }, ...(payload === undefined ? {} : { payload })
  })
  return {
    config: config as Service['config'],
    health,
    metrics,
    log,
    public: publicApp,
    internal: internalApp,
    listeners,
    call,
    open: async (overrides = {}) => {
      const response = await call('POST', '/internal/sessions', { ...guest, ...overrides })
      if (response.statusCode !== 201) throw new Error(`open: ${response.statusCode} ${response.body} ${JSON.stringify(log.at(-1))}`)
      return response.json()
    },
    refresh: async (refreshToken, deviceId = guest.deviceId, headers = {}) =>
      await publicApp.inject({ method: 'POST', url: '/api/ps/refresh', headers, payload: { deviceId, refreshToken } }),
    logOut: async (refreshToken, deviceId = guest.deviceId) =>
      await publicApp.inject({ method: 'POST', url: '/api/ps/logout', payload: { deviceId, refreshToken } })
  }
}

/** All keys except those shared by the replicas. */
export async function recordKeys ({ client }: Pick<PrivateRedis, 'client'>): Promise<string[]> {
  return (await client.keys('*')).filter(key => !key.includes(':meta:')).sort()
}

/** The claims of a JWT, unverified. */
export function claimsOf (token: string): { id: UserId, sid: string, gen: number, iat: number, exp: number, iss: string, sub: string } {
  return JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString())
}
