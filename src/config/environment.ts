import { isIP } from 'node:net'
import { Type, type Static } from '@sinclair/typebox'
import { Ajv } from 'ajv'
import { StartError } from '#src/errors'
import { leavesSigningToSecrets, readKeyFiles } from './key-files.ts'
import { readSecrets } from './secret-files.ts'
import { areApiKeys, KEY_PATTERN, parseApiKeys, scopes } from '#src/settings/api-keys'
import { areOrigins } from '#src/settings/origins'
import { RATE_PATTERN } from '#src/settings/rate'
import { tlsMistakes } from '#src/settings/tls-files'
import { parseRedisUrl } from '#src/settings/redis-url'
import { looksWeak, MIN_SECRET_BYTES, splitSecrets } from '#src/tokens/keys'
import { MIN_RSA_BITS } from '#src/tokens/private-keys'

/**
 * The environment variables: the only place with their names, defaults and limits.
 * A `description` completes the sentence "<NAME> must be …", the error of a start with a wrong value. `writeOnly` marks a secret,
 * which `<NAME>_FILE` can also give.
 */
export const Environment = Type.Object({
  NODE_ENV: Type.Union(
    ['development', 'test', 'production'].map(mode => Type.Literal(mode)),
    { default: 'development', description: 'development, test or production' }
  ),
  HOST: Type.String({ default: '127.0.0.1', description: 'the address of the public listener' }),
  PORT: Type.Integer({ default: 3000, minimum: 0, maximum: 65535, description: 'a port number from 0 to 65535' }),
  INTERNAL_HOST: Type.String({ default: '127.0.0.1', description: 'the address of the internal listener' }),
  INTERNAL_PORT: Type.Integer({ default: 3001, minimum: 0, maximum: 65535, description: 'a port number from 0 to 65535' }),
  REDIS_URL: Type.Optional(Type.String({
    writeOnly: true,
    description: 'redis://host:port/db, redis+sentinel://host:port,…/master/db, redis+cluster://host:port,… (rediss for TLS), or redis+socket:///path'
  })),
  // User ids contain no colon. So the last colon separates users of `rt:` from users of `rt:1:`, and users from our other keys.
  REDIS_PREFIX: Type.String({
    default: 'rt:',
    pattern: '^(?!.*:(meta|limit):)[^\\s{}*?\\[\\]\\\\]{0,63}:$',
    description: '1 to 64 characters without blanks, braces, brackets, * ? or \\, the last a colon, and none of its parts meta or limit'
  }),
  REDIS_CA_FILE: Type.Optional(Type.String({ description: 'the path of a PEM file' })),
  REDIS_CERT_FILE: Type.Optional(Type.String({ description: 'the path of a PEM file' })),
  REDIS_KEY_FILE: Type.Optional(Type.String({ description: 'the path of a PEM file' })),
  REDIS_SENTINEL_USERNAME: Type.Optional(Type.String({ description: 'the user of the sentinels' })),
  REDIS_SENTINEL_PASSWORD: Type.Optional(Type.String({ writeOnly: true, description: 'the password of the sentinels' })),
  REDIS_WAIT_REPLICAS: Type.Integer({ default: 0, minimum: 0, maximum: 10, description: 'a number of replicas from 0 (off) to 10' }),
  ACCESS_TOKEN_SECRETS: Type.Optional(Type.String({
    writeOnly: true,
    description: `secrets of at least ${MIN_SECRET_BYTES} bytes each, separated by commas, no two alike`
  })),
  ACCESS_TOKEN_PRIVATE_KEYS: Type.Optional(Type.String({
    writeOnly: true,
    description: `PEM private keys, or paths of files with them, separated by commas: Ed25519, P-256 or RSA of at least ${MIN_RSA_BITS} bits, not encrypted, no two alike`
  })),
  REFRESH_TOKEN_SECRETS: Type.Optional(Type.String({
    writeOnly: true,
    description: `secrets of at least ${MIN_SECRET_BYTES} bytes each, separated by commas, no two alike`
  })),
  JWT_ISSUER: Type.String({ default: 'ktor.io', maxLength: 255, description: 'a text of at most 255 characters' }),
  INTERNAL_API_KEY: Type.Optional(Type.String({
    writeOnly: true,
    pattern: KEY_PATTERN,
    description: 'at least 32 characters of A-Z a-z 0-9 . _ ~ + / = -'
  })),
  INTERNAL_API_KEYS: Type.Optional(Type.String({
    writeOnly: true,
    format: 'api-keys',
    description: 'entries name:scope+scope:key, separated by commas: names of a-z 0-9 -, other than default and client; scopes of ' +
      `${scopes.join(', ')}; keys of at least 32 characters of A-Z a-z 0-9 . _ ~ + / = -, no two alike`
  })),
  ACCESS_TOKEN_FORMAT: Type.Union(['documented', 'rfc9068'].map(format => Type.Literal(format)), { default: 'documented', description: 'documented or rfc9068' }),
  ACCESS_TOKEN_AUDIENCE: Type.Optional(Type.String({
    maxLength: 1000, pattern: '^[^\\s,]+( *, *[^\\s,]+)*$', description: 'names of services without blanks, separated by commas, at most 1000 characters'
  })),
  ACCESS_TOKEN_CLAIMS: Type.Optional(Type.String({ pattern: '^(email|role)( *, *(email|role))*$', description: 'email, role, or both, separated by a comma' })),
  ACCESS_TOKEN_TTL: Type.Integer({ default: 900, minimum: 1, maximum: 31_536_000, description: 'whole seconds from 1 to 31536000' }),
  REFRESH_IDLE_TTL: Type.Integer({ default: 2_592_000, minimum: 1, maximum: 3_153_600_000, description: 'whole seconds from 1 to 3153600000' }),
  REFRESH_ABSOLUTE_TTL: Type.Integer({ default: 31_536_000, minimum: 1, maximum: 3_153_600_000, description: 'whole seconds from 1 to 3153600000' }),
  REFRESH_RETRY_WINDOW: Type.Integer({ default: 30, minimum: 0, maximum: 3600, description: 'whole seconds from 0 (off) to 3600' }),
  MAX_SESSIONS_PER_USER: Type.Integer({ default: 50, minimum: 1, maximum: 1000, description: 'a number from 1 to 1000' }),
  MAX_REFRESHES_IN_FLIGHT: Type.Integer({ default: 500, minimum: 1, maximum: 100_000, description: 'a number from 1 to 100000' }),
  MAX_CONNECTIONS_PER_ADDRESS: Type.Integer({ default: 1000, minimum: 0, maximum: 10_000, description: 'a number from 0 (off) to 10000' }),
  RATE_LIMIT_PER_ADDRESS: Type.String({ default: 'off', pattern: RATE_PATTERN, description: 'off, or requests/seconds as in 300/60' }),
  RATE_LIMIT_PER_SESSION: Type.String({ default: 'off', pattern: RATE_PATTERN, description: 'off, or requests/seconds as in 30/60' }),
  CORS_ORIGINS: Type.Optional(Type.String({
    format: 'origins', description: 'origins as browsers send them, separated by commas: https://app.example.com, without a path, and no *'
  })),
  SHUTDOWN_DELAY: Type.Number({ default: 0, minimum: 0, maximum: 600, description: 'seconds from 0 to 600' }),
  DATA_DIR: Type.String({ default: '.data', description: 'the path of a folder' }),
  LOG_LEVEL: Type.Union(
    ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'].map(level => Type.Literal(level)),
    { default: 'info', description: 'fatal, error, warn, info, debug, trace or silent' }
  ),
  TRUST_PROXY: Type.String({ default: 'off', format: 'trust-proxy', description: 'off, on, or addresses and CIDR ranges of proxies separated by commas' })
})

// The schema is ours, so Ajv need not check it, and need not spend a tenth of the start on making that check.
const isEnvironment = new Ajv({ allErrors: true, coerceTypes: true, useDefaults: true, meta: false, validateSchema: false })
  .addFormat('trust-proxy', isTrustProxy).addFormat('origins', areOrigins).addFormat('api-keys', areApiKeys)
  .compile(Environment)

/** The secret variables. Each is also read from the file that `<NAME>_FILE` names. */
export const secretNames = Object.entries(Environment.properties).filter(([, { writeOnly }]) => writeOnly === true).map(([name]) => name)

export type Config = Static<typeof Environment>

/**
 * `Config` with the secrets that it needs. Either `ACCESS_TOKEN_SECRETS` or `ACCESS_TOKEN_PRIVATE_KEYS` is enough, and either
 * `INTERNAL_API_KEY` or `INTERNAL_API_KEYS`.
 */
export type SecretConfig = Config & Required<Pick<Config, 'REFRESH_TOKEN_SECRETS'>>

/** `Config` with everything that a running service needs. */
export type RunnableConfig = SecretConfig & Required<Pick<Config, 'REDIS_URL'>>

/** Secrets that a development machine makes for itself and production must be given. */
export const developmentSecrets = ['ACCESS_TOKEN_SECRETS', 'REFRESH_TOKEN_SECRETS', 'INTERNAL_API_KEY'] as const

export type DevelopmentSecret = typeof developmentSecrets[number]

/**
 * The secrets that this configuration lacks. It needs no `ACCESS_TOKEN_SECRETS` when a private key signs access tokens, and no
 * `INTERNAL_API_KEY` when callers have their own keys.
 */
export function missingSecrets (config: Config): DevelopmentSecret[] {
  const { ACCESS_TOKEN_PRIVATE_KEYS: keys, INTERNAL_API_KEYS: apiKeys } = config
  const replaced = {
    ACCESS_TOKEN_SECRETS: keys !== undefined && !leavesSigningToSecrets(keys),
    REFRESH_TOKEN_SECRETS: false,
    INTERNAL_API_KEY: apiKeys !== undefined
  }
  return developmentSecrets.filter(name => config[name] === undefined && !replaced[name])
}

/** The secrets and keys of the configuration, by variable. */
export function givenSecrets (config: Config): Array<[name: DevelopmentSecret | 'INTERNAL_API_KEYS', secrets: string[]]> {
  const keys = parseApiKeys(config.INTERNAL_API_KEYS ?? '')?.map(({ key }) => key)
  return [
    ...developmentSecrets.filter(name => config[name] !== undefined)
      .map(name => [name, splitSecrets(config[name]!)] as [typeof name, string[]]),
    ...keys === undefined ? [] : [['INTERNAL_API_KEYS', keys] as ['INTERNAL_API_KEYS', string[]]]
  ]
}

/** The variables with a secret that looks like a phrase or a pattern. Production refuses them. */
export function weakSecrets (config: Config): string[] {
  return givenSecrets(config).filter(([, secrets]) => secrets.some(secret => secret !== '' && looksWeak(secret))).map(([name]) => name)
}

/**
 * Reads and checks the environment, and the files of secrets, keys and TLS that it names. An empty value counts as absent: compose files
 * produce empty values.
 * @throws StartError with one sentence for each wrong variable. It never quotes a value, which may be a secret.
 */
export function loadConfig (environment: NodeJS.ProcessEnv = process.env): Config {
  const { values, mistakes } = readSecrets(environment, secretNames)
  // A secret that can't be read would also be reported as missing.
  if (mistakes.length > 0) throw new StartError(mistakes.join('\n'))
  const data = Object.fromEntries(Object.keys(Environment.properties)
    .map(name => [name, values[name] ?? environment[name]?.trim()] as const)
    .filter(([, value]) => value !== undefined && value !== ''))
  if (isProduction(data) && data.SHUTDOWN_DELAY === undefined) data.SHUTDOWN_DELAY = '5'

  const wrong = new Set<string>(Object.entries(data).filter(([name, value]) => isNumber(name) && !/^\d+(\.\d+)?$/.test(value!))
    .map(([name]) => mustBe(name)))
  // Becomes the configuration: the check converts numbers and fills in defaults.
  const config = data as unknown as Config
  if (!isEnvironment(data)) {
    for (const { instancePath } of isEnvironment.errors!) wrong.add(mustBe(instancePath.slice(1)))
  }
  if (config.ACCESS_TOKEN_PRIVATE_KEYS !== undefined) {
    try {
      config.ACCESS_TOKEN_PRIVATE_KEYS = readKeyFiles(config.ACCESS_TOKEN_PRIVATE_KEYS)
    } catch (err) {
      wrong.add(`${mustBe('ACCESS_TOKEN_PRIVATE_KEYS')} ${(err as Error).message}.`)
    }
  }
  const sentences = [...wrong, ...contradictions(config)]
  if (sentences.length > 0) throw new StartError(sentences.join('\n'))
  return config
}

/**
 * Reads and checks only the variables for reaching the sessions in Redis; all others keep their defaults, even when set.
 * For commands on machines without the secrets.
 * @throws StartError as `loadConfig` does, and when production has no `REDIS_URL`: production has no embedded Redis.
 */
export function loadStoreConfig (environment: NodeJS.ProcessEnv = process.env): Config {
  const config = loadConfig(Object.fromEntries(Object.entries(environment)
    .filter(([name]) => name.startsWith('REDIS_') || name === 'DATA_DIR')))
  if (environment.NODE_ENV?.trim() !== 'production') return config
  if (config.REDIS_URL === undefined) throw new StartError(isRequired('REDIS_URL'))
  return { ...config, NODE_ENV: 'production' }
}

/**
 * Completes a configuration with the secrets made for this machine; secrets of the environment take precedence.
 * @throws StartError when a secret is missing or wrong: the file may have been edited.
 */
export function completeConfig (config: Config, made: Record<string, string>): SecretConfig {
  const complete: Config = { ...config }
  for (const name of missingSecrets(config)) {
    const value = made[name]
    if (!value) throw new StartError(`${name} is missing in ${config.DATA_DIR}/secrets.env: remove the file, and new secrets are made.`)
    complete[name] = value
  }
  return loadConfig(Object.fromEntries(Object.entries(complete).map(([name, value]) => [name, String(value)]))) as SecretConfig
}

export function isProduction (config: { NODE_ENV?: string | undefined }): boolean {
  return config.NODE_ENV === 'production'
}

/** `TRUST_PROXY` as Fastify takes it. */
export function trustProxy ({ TRUST_PROXY: value }: Config): boolean | string {
  return value === 'off' || value === 'on' ? value === 'on' : value
}

/** Whether the variable is a number. Its digits are checked first, because JavaScript also reads 0x10 and 1e3 as numbers. */
export function isNumber (name: string): boolean {
  return ['integer', 'number'].includes((Environment.properties[name as keyof Config] as { type: string }).type)
}

/** The sentence about a wrong value. */
export function mustBe (name: string): string {
  return `${name} must be ${Environment.properties[name as keyof Config].description}.`
}

function isRequired (name: string): string {
  return `${name} is required when NODE_ENV is production. It ${mustBe(name).slice(name.length + 1)}`
}

/** Rules that a schema of single values can't express. */
function * contradictions (config: Config): Generator<string> {
  if (config.REDIS_URL !== undefined && parseRedisUrl(config.REDIS_URL) === undefined) yield mustBe('REDIS_URL')
  yield * tlsMistakes(config)
  const login = ['REDIS_SENTINEL_USERNAME', 'REDIS_SENTINEL_PASSWORD'].find(name => config[name as keyof Config] !== undefined)
  if (login !== undefined && !/^rediss?\+sentinel:/.test(config.REDIS_URL ?? '')) {
    yield `${login} needs a REDIS_URL of Sentinels: redis+sentinel://host:port,…/master.`
  }

  if (config.ACCESS_TOKEN_FORMAT === 'rfc9068' && config.ACCESS_TOKEN_AUDIENCE === undefined) {
    yield 'ACCESS_TOKEN_AUDIENCE is required when ACCESS_TOKEN_FORMAT is rfc9068: it names the services that accept the tokens (RFC 9068 section 2.2).'
  }

  const lists = { ACCESS_TOKEN_SECRETS: config.ACCESS_TOKEN_SECRETS, REFRESH_TOKEN_SECRETS: config.REFRESH_TOKEN_SECRETS }
  const seen = new Set<string>()
  for (const [name, list] of Object.entries(lists)) {
    if (list === undefined) continue
    const secrets = splitSecrets(list)
    if (secrets.some(secret => Buffer.byteLength(secret) < MIN_SECRET_BYTES) || new Set(secrets).size < secrets.length) {
      yield mustBe(name)
    } else if (secrets.some(secret => seen.has(secret))) {
      yield `${name} must share no secret with ACCESS_TOKEN_SECRETS: otherwise a service that verifies access tokens could forge refresh tokens.`
    }
    for (const secret of secrets) seen.add(secret)
  }
  for (const [name, keys] of givenSecrets(config)) {
    if (!name.startsWith('INTERNAL_')) continue
    if (keys.some(key => seen.has(key))) yield `${name} must be no secret of tokens: otherwise a caller of the internal API could forge them.`
    if (name === 'INTERNAL_API_KEYS' && keys.includes(config.INTERNAL_API_KEY!)) {
      yield 'INTERNAL_API_KEYS must not have the INTERNAL_API_KEY: that key has every scope.'
    }
  }

  if (!isProduction(config)) return
  for (const name of weakSecrets(config)) {
    yield `${name} must look random when NODE_ENV is production. Make it with: openssl rand -base64 64 | tr -d '\\n'`
  }
  for (const name of [...(config.REDIS_URL === undefined ? ['REDIS_URL'] : []), ...missingSecrets(config)]) {
    yield isRequired(name)
  }
}

function isTrustProxy (value: string): boolean {
  return value === 'off' || value === 'on' || value.split(',').every(part => {
    const [address = '', bits, rest] = part.trim().split('/')
    const family = isIP(address)
    return family !== 0 && rest === undefined &&
      (bits === undefined || (/^[1-9]\d{0,2}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128)))
  })
}
