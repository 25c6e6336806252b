import { parseRate } from '#src/settings/rate'
import { readTlsFiles } from '#src/settings/tls-files'
import { DEFAULT_CALLER, parseApiKeys, scopes, type ApiKey } from '#src/settings/api-keys'
import type { Config, RunnableConfig } from './environment.ts'

/** The part of the configuration with Redis's address, our login, and the features that need Redis. */
export type RedisConfig = Pick<RunnableConfig, 'REDIS_URL' | 'REDIS_PREFIX'> & Partial<Pick<RunnableConfig,
  'REDIS_CA_FILE' | 'REDIS_CERT_FILE' | 'REDIS_KEY_FILE' | 'REDIS_SENTINEL_USERNAME' | 'REDIS_SENTINEL_PASSWORD' |
  'REDIS_WAIT_REPLICAS' | 'RATE_LIMIT_PER_ADDRESS' | 'RATE_LIMIT_PER_SESSION' | 'EVENTS_STREAM'>>

/** The options of `connectRedis`. Reads the PEM files. */
export function redisOptions (config: RedisConfig) {
  const rates = [config.RATE_LIMIT_PER_ADDRESS ?? 'off', config.RATE_LIMIT_PER_SESSION ?? 'off']
  return {
    url: config.REDIS_URL,
    tls: readTlsFiles(config),
    sentinelUsername: config.REDIS_SENTINEL_USERNAME,
    sentinelPassword: config.REDIS_SENTINEL_PASSWORD,
    needs: {
      prefix: config.REDIS_PREFIX,
      waitsForReplicas: (config.REDIS_WAIT_REPLICAS ?? 0) > 0,
      streamsEvents: config.EVENTS_STREAM === 'on',
      limitsRates: rates.some(rate => parseRate(rate) !== undefined)
    }
  }
}

/** The options of `createSessionStore` that the configuration decides. */
export function sessionOptions (config: Config) {
  return {
    prefix: config.REDIS_PREFIX,
    idleTtl: config.REFRESH_IDLE_TTL,
    absoluteTtl: config.REFRESH_ABSOLUTE_TTL,
    retryWindow: config.REFRESH_RETRY_WINDOW,
    maxSessionsPerUser: config.MAX_SESSIONS_PER_USER,
    eventsStream: config.EVENTS_STREAM === 'on'
  }
}

type ApiKeys = Pick<Config, 'INTERNAL_API_KEY' | 'INTERNAL_API_KEYS'>

/** The keys of the internal API. `INTERNAL_API_KEY` has every scope. */
export function apiKeys (config: ApiKeys): ApiKey[] {
  const { INTERNAL_API_KEY: key } = config
  return [...key === undefined ? [] : [{ name: DEFAULT_CALLER, scopes, key }], ...callerKeys(config)]
}

/** The keys of callers with names: all but `INTERNAL_API_KEY`, which opens too much to be sent to the public listener. */
export function callerKeys ({ INTERNAL_API_KEYS: list }: ApiKeys): ApiKey[] {
  return list === undefined ? [] : parseApiKeys(list)!
}
