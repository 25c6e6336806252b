import { count } from '#src/cli/output'
import { FileSystemHangs } from '#src/config/data-dir'
import { ExposedSecrets, readDevelopmentSecrets } from '#src/config/development-secrets'
import { completeConfig, givenSecrets, isProduction, loadConfig, weakSecrets, type Config, type SecretConfig } from '#src/config/environment'
import { apiKeys } from '#src/config/options'
import { keyNames, signingKeys } from '#src/config/signing-keys'
import { readOwner } from '#src/deployment/issuer'
import { readAnnounced, unknownOf } from '#src/deployment/keys'
import { withoutArguments } from '#src/log/redact'
import type { RedisClient } from '#src/redis/client'
import { issuerKey } from '#src/redis/records'
import { parseRedisUrl } from '#src/settings/redis-url'
import { fail, ok, unknown, warn, type Check } from './check.ts'

/**
 * Seconds. A longer ACCESS_TOKEN_TTL gets a warning, because verifiers that don't look up the session accept a token until it expires.
 */
const LONG_ACCESS_TTL = 3600

const RANDOM = 'make one with: openssl rand -base64 64 | tr -d \'\\n\''

/** Checks the whole environment as the service would read it. Secrets are never shown. */
export async function configurationChecks (): Promise<Check[]> {
  let config: Config
  try {
    config = loadConfig()
  } catch (err) {
    return (err as Error).message.split('\n')
      .map(sentence => fail('configuration', sentence, `set ${/^\w+/.exec(sentence)![0]} where the service is started, and run doctor there`))
  }
  const mode = isProduction(config) ? 'production' : `${config.NODE_ENV}: missing secrets, and a Redis without REDIS_URL, are made in ${config.DATA_DIR}`
  return [
    ok('configuration', `every variable is right; NODE_ENV is ${mode}`),
    ...await allSecretChecks(config),
    ...callerChecks(config),
    ...connectionChecks(config),
    ...lifetimeChecks(config)
  ]
}

/** Checks the secrets, and the file of secrets that `npm start` made, if there is one that can be read. */
async function allSecretChecks (config: Config): Promise<Check[]> {
  try {
    const made = await readDevelopmentSecrets(config.DATA_DIR) ?? {}
    return secretChecks(config, isProduction(config) ? made : {})
  } catch (err) {
    if (err instanceof FileSystemHangs) throw err
    const exposed = err instanceof ExposedSecrets ? [fail('secrets', err.message, 'do it before npm start runs here again')] : []
    return [...secretChecks(config, {}), ...exposed]
  }
}

/** `made`: the development secrets found on this machine. */
export function secretChecks (config: Config, made: Record<string, string>): Check[] {
  const given = givenSecrets(config)
  const known = new Set(Object.values(made))
  const findings = [
    ...given.filter(([, secrets]) => secrets.some(secret => known.has(secret)))
      .map(([name]) => fail('secrets', `${name} holds what npm start made for development`, `${RANDOM}; docs/keys.md says how to rotate`)),
    ...weakSecrets(config).map(name => warn('secrets', `${name} holds a text that does not look random`, RANDOM))
  ]
  return findings.length > 0 || given.length === 0 ? findings : [ok('secrets', 'they are long enough, look random, and serve one purpose each')]
}

/** Lists the callers of the internal API with their scopes. */
export function callerChecks (config: Config): Check[] {
  const callers = apiKeys(config).map(({ name, scopes }) => `${name} (${scopes.join(', ')})`)
  if (callers.length === 0) return []
  return [ok('callers', `the internal API has ${count(callers.length, 'key')}: ${callers.join('; ')}`)]
}

/** Checks the connection to Redis by its URL alone. */
export function connectionChecks (config: Config): Check[] {
  const address = parseRedisUrl(config.REDIS_URL ?? '')
  if (address === undefined || !isProduction(config)) return []
  const { options: { path, host = '', password, tls } } = address
  if (path !== undefined) return [ok('connection', 'a unix socket')]
  const checks: Check[] = []
  if (password === undefined) {
    checks.push(warn('connection', 'REDIS_URL has no password: everybody who can connect to Redis can log people in and out', 'give Redis the users of deploy/redis/users.acl'))
  }
  if (tls === undefined && !/^(localhost|127\.[\d.]+|::1)$/.test(host)) {
    checks.push(warn('connection', 'e-mail addresses and passwords of Redis cross the network in the clear', 'use rediss unless the network is your own'))
  }
  return checks.length > 0 ? checks : [ok('connection', tls === undefined ? 'local, with a password' : 'TLS, with a password')]
}

export function lifetimeChecks (config: Config): Check[] {
  const { ACCESS_TOKEN_TTL: access, REFRESH_IDLE_TTL: idle, REFRESH_ABSOLUTE_TTL: absolute, REFRESH_RETRY_WINDOW: window } = config
  const checks: Check[] = []
  if (access > LONG_ACCESS_TTL) {
    checks.push(warn('lifetimes', `an access token outlives a log-out by up to ${access} s`, `set ACCESS_TOKEN_TTL to ${LONG_ACCESS_TTL} or less, 900 for most`))
  }
  if (access >= Math.min(idle, absolute)) {
    checks.push(warn('lifetimes', 'a session can end before its access token, so that nobody can refresh it', 'set REFRESH_IDLE_TTL and REFRESH_ABSOLUTE_TTL well above ACCESS_TOKEN_TTL'))
  }
  if (window === 0) {
    checks.push(warn('lifetimes', 'a client that loses an answer is logged out as if its token had been copied', 'set REFRESH_RETRY_WINDOW to 30'))
  }
  return checks.length > 0 ? checks : [ok('lifetimes', `access ${access} s, idle ${idle} s, at the most ${absolute} s, retries ${window} s`)]
}

/** Checks that this environment matches the running replicas: same issuer, same keys. */
export async function deploymentChecks (redis: RedisClient): Promise<Check[]> {
  const config = await readSecretConfig()
  if (config === undefined) return []
  const { REDIS_PREFIX: prefix, JWT_ISSUER: issuer } = config
  try {
    return [issuerCheck(await readOwner(redis, prefix), issuer, prefix), keysCheck(await readAnnounced(redis, prefix), config)]
  } catch (err) {
    return [unknown('issuer', `whether this is the environment of the running replicas: ${withoutArguments((err as Error).message)}`, 'run doctor again when Redis is well')]
  }
}

/** Returns `undefined` when the environment has no secrets or is invalid; `configurationChecks` reports an invalid one. */
async function readSecretConfig (): Promise<SecretConfig | undefined> {
  try {
    const config = loadConfig()
    return completeConfig(config, await readDevelopmentSecrets(config.DATA_DIR) ?? {})
  } catch {
    return undefined
  }
}

function issuerCheck (owner: string | undefined, issuer: string, prefix: string): Check {
  if (owner === undefined) return ok('issuer', `no issuer has taken ${prefix} yet`)
  return owner === issuer
    ? ok('issuer', `${prefix} belongs to ${issuer}`)
    : fail('issuer', `${prefix} belongs to ${owner}, and JWT_ISSUER is ${issuer}: the start would be refused`,
      `set another REDIS_PREFIX, or, to change the issuer on purpose, stop every replica of the service and DEL ${issuerKey(prefix)}`)
}

function keysCheck (announced: string[], config: SecretConfig): Check {
  const unknown = unknownOf(announced, keyNames(signingKeys(config)).known)
  return unknown.length === 0
    ? ok('keys', `this environment has every key that running replicas sign with: ${count(announced.length, 'key')}`)
    : fail('keys', `running replicas of the service sign with ${unknown.join(', ')}, which this environment lacks: a replica that starts with it would refuse these tokens`,
      'give all replicas of the service the same secrets, and rotate them as docs/keys.md says')
}
