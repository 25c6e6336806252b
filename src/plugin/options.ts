import { isNumber, loadConfig, missingSecrets, mustBe, weakSecrets, type SecretConfig, type Config } from '#src/config/environment'
import type { ClaimsOf, OnEvent } from '#src/core/core'
import { asksMasters, isClient } from '#src/redis/client-kind'
import type { RedisClient } from '#src/redis/client'
import { HOST, type Host } from './host.ts'

/** An ioredis client, of any copy and version of ioredis that docs/plugin.md names. */
export interface GivenClient {
  readonly status: string
  readonly isCluster: boolean
  readonly options: object
  defineCommand (name: string, definition: { lua: string }): void
  duplicate (...args: never[]): unknown
  disconnect (): void
}

/** Comma-separated, or a list. */
type Texts = string | readonly string[]

/** The options of the plugin: the settings of the service in camelCase, and the plugin's place in an app. Times are in seconds. */
export interface RefreshTokensOptions {
  /** Your ioredis client, which you close; or the address of Redis as in `REDIS_URL`, and the plugin connects. */
  redis: GivenClient | string
  /** The first signs, all verify; at least 64 bytes each. */
  refreshTokenSecrets: Texts
  /** All verify; at least 64 bytes each. Needed without `accessTokenPrivateKeys`: the first then signs. */
  accessTokenSecrets?: Texts | undefined
  /** PEM, or paths of PEM files: Ed25519, P-256 or RSA. The first signs. */
  accessTokenPrivateKeys?: Texts | undefined
  /** Default `documented`. */
  accessTokenFormat?: 'documented' | 'rfc9068' | undefined
  /** The services that accept the access tokens; required with `rfc9068`. */
  accessTokenAudience?: Texts | undefined
  /** Parts of the profile for access tokens; default none. */
  accessTokenClaims?: 'email' | 'role' | 'email,role' | ReadonlyArray<'email' | 'role'> | undefined
  /** Lifetime of an access token; default 900. */
  accessTokenTtl?: number | undefined
  /** `iss` of every token; default `ktor.io`. */
  jwtIssuer?: string | undefined
  /** How long a session lives without a refresh; default 2592000. */
  refreshIdleTtl?: number | undefined
  /** How long a session lives in total; default 31536000. */
  refreshAbsoluteTtl?: number | undefined
  /** How long a client may repeat a lost refresh without an `Idempotency-Key`; default 30. */
  refreshRetryWindow?: number | undefined
  /** `on`: imported sessions go on with the tokens of the service that they come from; default `off`. */
  legacyTokens?: 'off' | 'on' | undefined
  /** Default 50. */
  maxSessionsPerUser?: number | undefined
  /** Start of every key in Redis; default `rt:`. */
  redisPrefix?: string | undefined
  /** Replicas that a log-out, a new session and a changed profile wait for; default 0. */
  redisWaitReplicas?: number | undefined
  /** Whether refreshes may or must prove a key (RFC 9449); default `off`. */
  dpop?: 'off' | 'optional' | 'required' | undefined
  /** With an address: paths of PEM files for TLS. */
  redisCaFile?: string | undefined
  redisCertFile?: string | undefined
  redisKeyFile?: string | undefined
  /** With an address of Sentinels: their user. */
  redisSentinelUsername?: string | undefined
  redisSentinelPassword?: string | undefined
  /** The public address of the app, an https origin: turns OAuth on, at `/oauth/…` and `/.well-known/…` of the app. */
  oauthIssuer?: string | undefined
  /** `on`: refresh and log-out for browsers, with the refresh token in a cookie; default `off`. */
  cookieSessions?: 'off' | 'on' | undefined
  /** `SameSite` of the cookie; default `strict`. */
  cookieSameSite?: 'strict' | 'lax' | undefined
  /** Other origins of the same site whose pages may use the cookie. The app's own CORS plugin allows them to read answers. */
  corsOrigins?: Texts | undefined
  /** Where the endpoint is; default `{ prefix: '/api/ps' }`. `false`: nowhere, and no OAuth. */
  routes?: { prefix?: string | undefined } | false | undefined
  /** Routes with which users list and end their own sessions, under `/sessions` of the prefix; default `off`. */
  deviceRoutes?: 'off' | 'on' | undefined
  /** Appends the events of sessions to a Redis Stream; default `off`. */
  eventsStream?: 'off' | 'on' | undefined
  /** Name of the decorator; default `sessions`. */
  decoratorName?: string | undefined
  /** More claims for each access token; they replace stored claims of the same name. */
  claims?: ClaimsOf | undefined
  /** Receives the events of sessions. Called synchronously; its errors are logged. */
  onEvent?: OnEvent | undefined
}

/** Checked options, with defaults filled in. */
export interface Settings {
  config: SecretConfig
  redis: RedisClient | string
  /** Without the routes, `undefined`. */
  prefix: string | undefined
  decoratorName: string
  claims: ClaimsOf | undefined
  onEvent: OnEvent | undefined
  host: Host | undefined
}

/** The settings of the service that the plugin takes. */
const variables = [
  'REFRESH_TOKEN_SECRETS', 'ACCESS_TOKEN_SECRETS', 'ACCESS_TOKEN_PRIVATE_KEYS', 'ACCESS_TOKEN_FORMAT', 'ACCESS_TOKEN_AUDIENCE',
  'ACCESS_TOKEN_CLAIMS', 'ACCESS_TOKEN_TTL', 'JWT_ISSUER', 'REFRESH_IDLE_TTL', 'REFRESH_ABSOLUTE_TTL', 'REFRESH_RETRY_WINDOW',
  'LEGACY_TOKENS', 'MAX_SESSIONS_PER_USER', 'REDIS_PREFIX', 'REDIS_WAIT_REPLICAS', 'REDIS_CA_FILE', 'REDIS_CERT_FILE',
  'REDIS_KEY_FILE', 'REDIS_SENTINEL_USERNAME', 'REDIS_SENTINEL_PASSWORD', 'OAUTH_ISSUER', 'DPOP', 'COOKIE_SESSIONS', 'COOKIE_SAME_SITE', 'CORS_ORIGINS',
  'DEVICE_ROUTES', 'EVENTS_STREAM'
] as const satisfies ReadonlyArray<keyof Config>

type CamelCase<Name extends string> = Name extends `${infer Head}_${infer Tail}` ? `${Lowercase<Head>}${Capitalize<CamelCase<Tail>>}` : Lowercase<Name>

type Setting = typeof variables[number]

type SettingOption = CamelCase<Setting>

/** The option of a variable: `redisPrefix` of `REDIS_PREFIX`. */
export function optionOf (variable: string): string {
  return variable === 'REDIS_URL' ? 'redis' : variable.toLowerCase().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase())
}

/** Names the options in a sentence about variables. */
export function withOptionNames (sentence: string): string {
  return sentence.replace(/\b(?:[A-Z]+(?:_[A-Z]+)+|DPOP)\b/g, name => name === 'REDIS_URL' || variables.includes(name as Setting) ? optionOf(name) : name)
}

/** The configuration under the names of the options, without the settings of the connection to Redis. */
export function toOptions (config: SecretConfig): Pick<RefreshTokensOptions, SettingOption> {
  const names = variables.filter(name => !name.startsWith('REDIS_') || name === 'REDIS_PREFIX' || name === 'REDIS_WAIT_REPLICAS')
  return Object.fromEntries(names.map(name => [optionOf(name), config[name]])) as unknown as Pick<RefreshTokensOptions, SettingOption>
}

const ROUTE_PREFIX = /^(\/[A-Za-z0-9._~-]+)+$/

/**
 * Checks the options and fills in the defaults.
 * @throws TypeError with a sentence for each wrong option. It never quotes a value, which may be a secret.
 */
export function readOptions (options: RefreshTokensOptions): Settings {
  const { redis, routes = {}, decoratorName = 'sessions', claims, onEvent, [HOST]: host, ...settings } =
    options as RefreshTokensOptions & { [HOST]?: Host }
  const wrong = [
    ...unknown(settings),
    ...redisMistakes(redis),
    ...routes === false || isRoutes(routes) ? [] : ['routes must be false, or { prefix } with a path such as /api/ps.'],
    .../^[A-Za-z_$][\w$]*$/.test(String(decoratorName)) ? [] : ['decoratorName must be a name for a property of the app, such as sessions.'],
    ...Object.entries({ claims, onEvent }).filter(([, value]) => value !== undefined && typeof value !== 'function').map(([name]) => `${name} must be a function.`)
  ]
  const record: Record<string, string> = typeof redis === 'string' ? { REDIS_URL: redis } : {}
  for (const name of variables) {
    const text = toText(name, settings[optionOf(name) as SettingOption])
    if (text === undefined) continue
    if (text === '') wrong.push(mustBe(name))
    else record[name] = text
  }
  const config = read(record, wrong, host === undefined)
  if (wrong.length > 0) throw new TypeError([...new Set(wrong.map(withOptionNames))].join('\n'))
  return {
    config: config as SecretConfig,
    redis: redis as RedisClient | string,
    prefix: routes === false ? undefined : routes.prefix ?? '/api/ps',
    decoratorName,
    claims,
    onEvent,
    host
  }
}

/** The service itself accepts weak secrets outside production. */
function read (record: Record<string, string>, wrong: string[], refusesWeak: boolean): Config | undefined {
  let config: Config
  try {
    config = loadConfig(record)
  } catch (err) {
    wrong.push(...(err as Error).message.split('\n'))
    return undefined
  }
  for (const name of missingSecrets(config)) if (variables.includes(name as Setting) && record[name] === undefined) wrong.push(mustBe(name))
  for (const name of refusesWeak ? weakSecrets(config) : []) wrong.push(`${name} must look random. Make it with: openssl rand -base64 64 | tr -d '\\n'`)
  return config
}

/** A mistyped name must not count as a missing option. */
function unknown (settings: object): string[] {
  const known = variables.map(optionOf)
  return Object.keys(settings).filter(name => !known.includes(name))
    .map(name => `${name} is no option of refresh-token-service: docs/plugin.md lists the options.`)
}

/** The text of an option, as the environment has it; '' for a value of another type. */
function toText (name: Setting, value: unknown): string | undefined {
  if (value === undefined) return undefined
  if (isNumber(name)) return typeof value === 'number' ? String(value) : ''
  const texts = Array.isArray(value) ? value : [value]
  const isText = (text: unknown): boolean => typeof text === 'string' && text.trim() !== ''
  return texts.every(text => isText(text) && (texts.length === 1 || !text.includes(','))) ? texts.join() : ''
}

function redisMistakes (redis: unknown): string[] {
  if (typeof redis === 'string' && redis !== '') return []
  if (!isClient(redis)) return ['redis must be an ioredis client, or the address of Redis such as redis://host:port/db.']
  return asksMasters(redis) ? [] : ['redis must ask masters and have no keyPrefix: without scaleReads, readOnly and the role slave.']
}

function isRoutes (routes: object): boolean {
  if (typeof routes !== 'object' || routes === null) return false
  const { prefix = '/api/ps', ...others } = routes as { prefix?: unknown }
  return typeof prefix === 'string' && ROUTE_PREFIX.test(prefix) && Object.keys(others).length === 0
}
