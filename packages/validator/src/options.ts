import type { Cluster, Redis } from 'ioredis'
import { asksMasters, isClient } from '../../../src/redis/client-kind.ts'
import type { ClientOptions, RedisClient } from '../../../src/redis/client.ts'
import { isPem, type TlsOptions } from '../../../src/settings/tls-files.ts'
import { parseRedisUrl } from '../../../src/settings/redis-url.ts'
import { MIN_SECRET_BYTES, splitSecrets } from '../../../src/tokens/keys.ts'

/** Needs one way to reach the service's Redis (`redisUrl` or `redis`) and one way to verify tokens (`secrets` or `jwksUrl`). */
export interface SessionValidatorOptions {
  /** Any `REDIS_URL` that the service accepts: one server, a Sentinel group, a Cluster. A read-only user is enough. */
  redisUrl?: string | undefined
  /** For a `redisUrl` over TLS: PEM, as `tls.connect` takes it. `ca` replaces Node's trusted CAs; `cert` and `key` go together. */
  tls?: TlsOptions | undefined
  /** Credentials for the sentinels, if they require any. */
  sentinelUsername?: string | undefined
  sentinelPassword?: string | undefined
  /** Your own ioredis client, instead of `redisUrl`; a duplicate of it subscribes to events. The caller closes it. */
  redis?: Redis | Cluster | undefined
  /** The service's `REDIS_PREFIX`; default `rt:`. */
  prefix?: string
  /** The service's `JWT_ISSUER`; default `ktor.io`. */
  issuer?: string | undefined
  /** Your service's names in the `ACCESS_TOKEN_AUDIENCE` of refresh-token-service; without it, tokens for any service are accepted. */
  audience?: string | readonly string[] | undefined
  /** The service's `ACCESS_TOKEN_SECRETS`, comma-separated or as a list, for HS512. */
  secrets?: string | readonly string[] | undefined
  /** Address of the service's public keys, for EdDSA, ES256 and RS256 (RFC 7517). */
  jwksUrl?: string | URL | undefined
  /** `false` reads from Redis at every call; the cache is on by default. */
  cache?: false | SessionCacheOptions | undefined
}

export interface SessionCacheOptions {
  /** Maximum number of cached tokens; default 10000. */
  max?: number | undefined
  /** Milliseconds for which an answer is served from the cache when no event comes; default 5000. */
  maxStaleness?: number | undefined
}

/** Checked options, with defaults filled in. */
export interface Settings extends ClientOptions {
  redis: RedisClient | string
  prefix: string
  issuer: string
  audience: readonly string[] | undefined
  /** A comma-separated list of secrets, or the address of the key set. */
  keys: string | URL
  cache: { max: number, maxStaleness: number } | undefined
}

/**
 * Checks the options and fills in the defaults.
 * @throws TypeError that names the wrong option and never quotes its value, which may be a secret.
 */
export function readOptions (options: SessionValidatorOptions): Settings {
  if (typeof options !== 'object' || options === null) throw new TypeError('createSessionValidator takes an object of options')
  const {
    redisUrl, tls, sentinelUsername, sentinelPassword, redis, prefix = 'rt:', issuer = 'ktor.io', audience, secrets, jwksUrl, cache = {}, ...others
  } = options
  refuseUnknown(others)
  check((redisUrl === undefined) !== (redis === undefined), 'redisUrl', 'be given, or redis instead; give one of the two')
  const address = typeof redisUrl === 'string' ? parseRedisUrl(redisUrl) : undefined
  check(redisUrl === undefined || address !== undefined, 'redisUrl',
    'be redis://host:port/db, redis+sentinel://host:port,…/master/db, redis+cluster://host:port,…, the same with rediss for TLS, or redis+socket:///path')
  check(redis === undefined || (isClient(redis) && asksMasters(redis)), 'redis', 'be an ioredis client that reads from masters, without a keyPrefix')
  check(tls === undefined || (address?.options.tls !== undefined && isTls(tls)), 'tls',
    'be { ca, cert, key } in PEM with the key of the certificate, and go with a redisUrl over TLS')
  for (const [name, value] of Object.entries({ sentinelUsername, sentinelPassword })) {
    check(value === undefined || (address !== undefined && isText(value)), name, 'be a text, and go with a redisUrl')
  }
  check(isText(prefix), 'prefix', 'be a text: the REDIS_PREFIX of the service')
  check(isText(issuer), 'issuer', 'be a text: the JWT_ISSUER of the service')
  const audiences = audience === undefined ? undefined : [audience].flat()
  check(audiences === undefined || (audiences.length > 0 && audiences.every(isText)), 'audience', 'be a text or a list of texts')
  check((secrets === undefined) !== (jwksUrl === undefined), 'secrets', 'be given, or jwksUrl instead; give one of the two')
  return {
    redis: redis ?? redisUrl!,
    tls,
    sentinelUsername,
    sentinelPassword,
    prefix,
    issuer,
    audience: audiences,
    keys: secrets === undefined ? readAddress(jwksUrl!) : readSecrets(secrets),
    cache: readCache(cache)
  }
}

function readSecrets (secrets: string | readonly string[]): string {
  const list = splitSecrets(String(secrets)) // String() joins a list with commas
  const long = list.every(secret => Buffer.byteLength(secret) >= MIN_SECRET_BYTES)
  check(long && new Set(list).size === list.length, 'secrets',
    `be the ACCESS_TOKEN_SECRETS of the service: at least ${MIN_SECRET_BYTES} bytes each, no two alike`)
  return list.join()
}

function readAddress (text: string | URL): URL {
  const url = URL.canParse(String(text)) ? new URL(text) : undefined
  // fetch refuses an address with a password, and its error quotes the password.
  const right = url !== undefined && /^https?:$/.test(url.protocol) && url.username + url.password === ''
  check(right, 'jwksUrl', 'be the http:// or https:// address of a JSON Web Key Set, without user or password')
  return url
}

function readCache (cache: false | SessionCacheOptions): Settings['cache'] {
  if (cache === false) return undefined
  check(typeof cache === 'object' && cache !== null, 'cache', 'be false or an object')
  const { max = 10_000, maxStaleness = 5000, ...others } = cache
  refuseUnknown(others, 'cache.')
  check(isCount(max), 'cache.max', 'be a whole number from 1')
  check(isCount(maxStaleness), 'cache.maxStaleness', 'be whole milliseconds from 1')
  return { max, maxStaleness }
}

/** A mistyped option name must not count as a missing option. */
function refuseUnknown (others: object, path = ''): void {
  const [name] = Object.keys(others)
  if (name !== undefined) throw new TypeError(`${path}${name} is not an option of createSessionValidator`)
}

function check (holds: boolean, name: string, demand: string): asserts holds {
  if (!holds) throw new TypeError(`${name} must ${demand}`)
}

function isTls (tls: TlsOptions | null): boolean {
  if (typeof tls !== 'object' || tls === null) return false
  const { ca, cert, key, ...others } = tls
  return Object.keys(others).length === 0 && (cert === undefined) === (key === undefined) && isPem({ ca, cert, key })
}

function isText (value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}

function isCount (value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) > 0
}
