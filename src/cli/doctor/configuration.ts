import { isProduction, loadConfig, type Config } from '#src/config/environment'
import { FileSystemHangs } from '#src/config/data-dir'
import { ExposedSecrets, readDevelopmentSecrets } from '#src/config/development-secrets'
import { parseRedisUrl } from '#src/settings/redis-url'
import { looksWeak, splitSecrets } from '#src/tokens/keys'
import { fail, ok, warn, type Check } from './check.ts'

/** Names of the variables that hold secrets. */
const SECRETS = ['ACCESS_TOKEN_SECRETS', 'REFRESH_TOKEN_SECRETS', 'INTERNAL_API_KEY'] as const

/** Seconds. Verifiers that don't look up the session accept an access token for this long after the session ended. */
const LONG_ACCESS_TTL = 3600

const RANDOM = 'make one with: openssl rand -base64 64 | tr -d \'\\n\''

/** Checks the whole environment as the service would read it. Secrets are never shown. */
export async function checkConfiguration (): Promise<Check[]> {
  let config
  try {
    config = loadConfig()
  } catch (err) {
    return (err as Error).message.split('\n')
      .map(sentence => fail('configuration', sentence, `set ${/^\w+/.exec(sentence)![0]} where the service is started, and run doctor there`))
  }
  const mode = isProduction(config) ? 'production' : `${config.NODE_ENV}: secrets and Redis that are not set are made under ${config.DATA_DIR}`
  return [
    ok('configuration', `every variable is right; NODE_ENV is ${mode}`),
    ...await developmentChecks(config),
    ...connectionChecks(config),
    ...lifetimeChecks(config)
  ]
}

/** Checks the secrets, and the file of secrets that `npm start` made, if present. An unreadable file does not concern the service. */
async function developmentChecks (config: Config): Promise<Check[]> {
  try {
    const made = await readDevelopmentSecrets(config.DATA_DIR) ?? {}
    return secretChecks(config, isProduction(config) ? made : {})
  } catch (err) {
    if (err instanceof FileSystemHangs) throw err
    const exposed = err instanceof ExposedSecrets ? [fail('secrets', err.message, 'do so before npm start runs here again')] : []
    return [...secretChecks(config, {}), ...exposed]
  }
}

/** `made`: the development secrets found on this machine. */
export function secretChecks (config: Config, made: Record<string, string>): Check[] {
  const secrets = SECRETS.flatMap(name => splitSecrets(config[name] ?? '').filter(secret => secret !== '').map(secret => ({ name, secret })))
  const known = new Set(Object.values(made))
  const others = new Set(secrets.filter(({ name }) => name !== 'INTERNAL_API_KEY').map(({ secret }) => secret))
  const findings = secrets.flatMap(({ name, secret }) => [
    ...(known.has(secret) ? [fail('secrets', `${name} holds what npm start made for development`, `${RANDOM}; docs/keys.md says how to rotate`)] : []),
    ...(looksWeak(secret) ? [warn('secrets', `${name} holds a text that does not look random`, RANDOM)] : []),
    ...(name === 'INTERNAL_API_KEY' && others.has(secret) ? [fail('secrets', 'INTERNAL_API_KEY is a secret of tokens too: every caller could forge them', RANDOM)] : [])
  ])
  return findings.length > 0 || secrets.length === 0 ? findings : [ok('secrets', 'they are long enough, look random, and serve one purpose each')]
}

/** Checks the connection to Redis by its URL alone. */
export function connectionChecks (config: Config): Check[] {
  const address = parseRedisUrl(config.REDIS_URL ?? '')
  if (address === undefined || !isProduction(config)) return []
  const { options } = address
  if (options.path !== undefined) return [ok('connection', 'a unix socket')]
  const checks = []
  if (options.password === undefined) {
    checks.push(warn('connection', 'REDIS_URL has no password: whoever reaches Redis can log people in and out', 'give Redis the users of deploy/redis/users.acl'))
  }
  const isLocal = /^(localhost|127\.[\d.]+|::1)$/.test(options.host ?? '')
  if (options.tls === undefined && !isLocal) {
    checks.push(warn('connection', 'e-mail addresses and passwords of Redis cross the network in the clear', 'use rediss unless the network is your own'))
  }
  return checks.length > 0 ? checks : [ok('connection', options.tls === undefined ? 'local, with a password' : 'TLS, with a password')]
}

export function lifetimeChecks (config: Config): Check[] {
  const { ACCESS_TOKEN_TTL: access, REFRESH_IDLE_TTL: idle, REFRESH_ABSOLUTE_TTL: absolute, REFRESH_RETRY_WINDOW: window } = config
  const checks = []
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
