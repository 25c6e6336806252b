import { createHmac } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { Cluster, Redis } from 'ioredis'
import type { Test } from 'tap'
import type { RedisClient } from '#src/redis/client'
import { parseRedisUrl } from '#src/settings/redis-url'
import { parseKeys } from '#src/tokens/keys'
import { createSessionValidator, type SessionValidator, type SessionValidatorOptions } from '../../packages/validator/src/index.ts'
import type { PrivateRedis, Service } from '../support/helper.ts'

/** Milliseconds; longer than any test, so that no answer expires by its age. */
export const FOREVER = 3_600_000

/** The options for validating a service's tokens; cached answers do not expire. */
export function optionsFor (service: Service, overrides: SessionValidatorOptions = {}): SessionValidatorOptions {
  const { REDIS_PREFIX: prefix, JWT_ISSUER: issuer, ACCESS_TOKEN_SECRETS: secrets, REDIS_URL: redisUrl } = service.config
  return { prefix, issuer, secrets, redisUrl, cache: { maxStaleness: FOREVER }, ...overrides }
}

/** A validator that closes with the test, connected and subscribed. */
export async function validatorFor (t: Test, service: Service, overrides: SessionValidatorOptions = {}): Promise<SessionValidator> {
  const validator = createSessionValidator(optionsFor(service, overrides))
  t.teardown(async () => await validator.close())
  // A busy machine may need more than the 700 ms of an attempt.
  await until(async () => await codeOf(validator.ready()) === undefined)
  return validator
}

/** The options for connecting as the Redis user `reader`. */
export function readerOf (redis: Pick<PrivateRedis, 'readerUrl' | 'env'>): SessionValidatorOptions {
  return { redisUrl: redis.readerUrl, sentinelPassword: redis.env.REDIS_SENTINEL_PASSWORD }
}

interface ClientSettings { username?: string, password?: string, lazyConnect?: boolean }

/** The caller's own ioredis client, with ioredis's defaults; logged in as `reader` unless the options name a user. */
export function clientOf (t: Test, redis: PrivateRedis, options: ClientSettings = {}): RedisClient {
  const client = connect(redis, options)
  client.on('error', () => {})
  t.teardown(() => { client.disconnect() })
  return client
}

function connect ({ readerUrl, env }: PrivateRedis, others: object): RedisClient {
  const address = parseRedisUrl(readerUrl)!
  const options = { ...address.options, ...others, enableReadyCheck: false }
  switch (address.topology) {
    case 'single': return new Redis(options)
    case 'sentinel': return new Redis({ ...options, sentinels: address.sentinels, name: address.master, sentinelPassword: env.REDIS_SENTINEL_PASSWORD! })
    case 'cluster': return new Cluster(address.nodes, { lazyConnect: true, enableReadyCheck: false, redisOptions: options })
  }
}

/** The number of HMGET calls so far, by clients and scripts. */
export async function lookups ({ clients }: Pick<PrivateRedis, 'clients'>): Promise<number> {
  const stats = await Promise.all(clients.map(async client => await client.info('commandstats')))
  return stats.reduce((sum, text) => sum + Number(/cmdstat_hmget:calls=(\d+)/.exec(text)?.[1] ?? 0), 0)
}

/** Validates; returns whether Redis was asked. */
export async function asksRedis (validator: SessionValidator, token: string, redis: Pick<PrivateRedis, 'clients'>): Promise<boolean> {
  const before = await lookups(redis)
  await validator.validate(token)
  return await lookups(redis) > before
}

/** Milliseconds; many times longer than any change that a test waits for. */
const LIMIT = 30_000

/**
 * Resolves when `attempt` resolves to true: for changes that announce themselves to nobody here. One that does not come rejects
 * with the attempt, long before the test's own time-out would end it without a word.
 */
export async function until (attempt: () => Promise<boolean>): Promise<void> {
  const inVain = new Error(`waited for ${LIMIT / 1000} s in vain: ${String(attempt)}`)
  const end = performance.now() + LIMIT
  while (!await attempt()) {
    if (performance.now() > end) throw inVain
    await delay(5)
  }
}

/** The code of the error that a promise rejects with; `undefined` when it resolves. */
export async function codeOf (promise: Promise<unknown>): Promise<string | undefined> {
  return await promise.then(() => undefined, err => err.code)
}

/** Makes a JWT with node:crypto alone: this header, these claims, an HMAC signature. */
export function handmade (key: string, claims: object, header: object = {}, digest = 'sha512'): string {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const input = `${encode({ alg: 'HS512', typ: 'JWT', kid: parseKeys(key)[0].kid, ...header })}.${encode(claims)}`
  return `${input}.${createHmac(digest, key).update(input).digest('base64url')}`
}
