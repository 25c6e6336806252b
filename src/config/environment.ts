import { isIP } from 'node:net'
import type { Static } from '@sinclair/typebox'
import { Ajv } from 'ajv'
import { StartError } from '#src/errors'
import { leavesSigningToSecrets, readKeyFiles } from './key-files.ts'
import { Environment } from './schema.ts'
import { readSecrets } from './secret-files.ts'
import { areApiKeys, parseApiKeys } from '#src/settings/api-keys'
import { isOauthIssuer } from '#src/settings/oauth-issuer'
import { areOrigins } from '#src/settings/origins'
import { tlsMistakes } from '#src/settings/tls-files'
import { parseRedisUrl } from '#src/settings/redis-url'
import { looksWeak, MIN_SECRET_BYTES, splitSecrets } from '#src/tokens/keys'

// The schema is ours, so Ajv need not check it, and need not spend a tenth of the start on making that check.
const isEnvironment = new Ajv({ allErrors: true, coerceTypes: true, useDefaults: true, meta: false, validateSchema: false })
  .addFormat('trust-proxy', isTrustProxy).addFormat('origins', areOrigins).addFormat('api-keys', areApiKeys).addFormat('oauth-issuer', isOauthIssuer)
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
 * For commands on machines without the secrets. `others` are variables that a command needs too.
 * @throws StartError as `loadConfig` does, and when production has no `REDIS_URL`: production has no embedded Redis.
 */
export function loadStoreConfig (environment: NodeJS.ProcessEnv = process.env, ...others: Array<keyof Config>): Config {
  const names = ['DATA_DIR', 'EVENTS_STREAM', ...others]
  const config = loadConfig(Object.fromEntries(Object.entries(environment).filter(([name]) => name.startsWith('REDIS_') || names.includes(name))))
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

  if (config.ACCESS_TOKEN_FORMAT === 'rfc9068' && config.OAUTH_ISSUER !== undefined && config.OAUTH_ISSUER !== config.JWT_ISSUER) {
    yield 'OAUTH_ISSUER must be the JWT_ISSUER when ACCESS_TOKEN_FORMAT is rfc9068: verifiers compare the two (RFC 9068 section 4).'
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
