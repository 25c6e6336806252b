import { Type } from '@sinclair/typebox'
import { KEY_PATTERN, scopes } from '#src/settings/api-keys'
import { RATE_PATTERN } from '#src/settings/rate'
import { MIN_SECRET_BYTES } from '#src/tokens/keys'
import { MIN_RSA_BITS } from '#src/tokens/private-keys'

const OffOrOn = Type.Union(['off', 'on'].map(mode => Type.Literal(mode)), { default: 'off', description: 'off or on' })

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
  OAUTH_ISSUER: Type.Optional(Type.String({
    format: 'oauth-issuer',
    description: 'the address of this service for OAuth clients, https://host or https://host:port without a path; http only for localhost. It turns OAuth on'
  })),
  DPOP: Type.Union(['off', 'optional', 'required'].map(mode => Type.Literal(mode)), { default: 'off', description: 'off, optional or required' }),
  COOKIE_SESSIONS: OffOrOn,
  COOKIE_SAME_SITE: Type.Union(['strict', 'lax'].map(mode => Type.Literal(mode)), { default: 'strict', description: 'strict or lax' }),
  LEGACY_TOKENS: OffOrOn,
  DEVICE_ROUTES: OffOrOn,
  EVENTS_STREAM: OffOrOn,
  SHUTDOWN_DELAY: Type.Number({ default: 0, minimum: 0, maximum: 600, description: 'seconds from 0 to 600' }),
  DATA_DIR: Type.String({ default: '.data', description: 'the path of a folder' }),
  LOG_LEVEL: Type.Union(
    ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'].map(level => Type.Literal(level)),
    { default: 'info', description: 'fatal, error, warn, info, debug, trace or silent' }
  ),
  TRUST_PROXY: Type.String({ default: 'off', format: 'trust-proxy', description: 'off, on, or addresses and CIDR ranges of proxies separated by commas' })
})
