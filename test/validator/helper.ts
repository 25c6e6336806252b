import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import { createSessionValidator, type SessionValidator, type SessionValidatorOptions } from '../../src/validator/index.ts'
import { parseKeys } from '../../src/tokens/keys.ts'
import type { PrivateRedis, Service } from '../helper.ts'

/** Milliseconds that no test lasts: what ends an answer of this age is not its age. */
export const FOREVER = 3_600_000

/** How to validate the tokens of a service; a cached answer lives for ever. */
export function optionsFor (service: Service, overrides: SessionValidatorOptions = {}): SessionValidatorOptions {
  const { REDIS_PREFIX: prefix, JWT_ISSUER: issuer, ACCESS_TOKEN_SECRETS: secrets, REDIS_URL: redisUrl } = service.config
  return { prefix, issuer, secrets, redisUrl, cache: { maxStaleness: FOREVER }, ...overrides }
}

/** A validator that closes with the test, connected and listening unless told otherwise. */
export async function validatorFor (t: Test, service: Service, overrides: SessionValidatorOptions = {}): Promise<SessionValidator> {
  const validator = createSessionValidator(optionsFor(service, overrides))
  t.teardown(async () => await validator.close())
  await validator.ready()
  return validator
}

/** A client of the caller's own, and the subscriber that a validator makes of it. */
export async function clientOf (t: Test, redis: PrivateRedis): Promise<{ client: Redis, subscriber: Promise<Redis> }> {
  const client = new Redis({ path: `${redis.folder}/redis.sock`, retryStrategy: () => 20 })
  client.on('error', () => {})
  t.teardown(() => { client.disconnect() })
  await once(client, 'ready')
  const duplicate = client.duplicate.bind(client)
  const subscriber = new Promise<Redis>(resolve => {
    client.duplicate = options => {
      const copy = duplicate(options)
      resolve(copy)
      return copy
    }
  })
  return { client, subscriber }
}

/** How often Redis was asked for a session, or a script asked for itself. */
export async function lookups (redis: PrivateRedis): Promise<number> {
  const stats = await redis.client.info('commandstats')
  return Number(/cmdstat_hmget:calls=(\d+)/.exec(stats)?.[1] ?? 0)
}

/** Resolves when `attempt` resolves to true; the test's own time-out is the limit. For what announces itself to nobody here. */
export async function until (attempt: () => Promise<boolean>): Promise<void> {
  while (!await attempt()) await delay(5)
}

/** What a promise rejects with says its code; `undefined` when it resolves. */
export async function codeOf (promise: Promise<unknown>): Promise<string | undefined> {
  return await promise.then(() => undefined, err => err.code)
}

/** A JWT by hand: header and claims as given, signed with HMAC by node:crypto alone. */
export function handmade (key: string, claims: object, header: object = {}, digest = 'sha512'): string {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const input = `${encode({ alg: 'HS512', typ: 'JWT', kid: parseKeys(key)[0].kid, ...header })}.${encode(claims)}`
  return `${input}.${createHmac(digest, key).update(input).digest('base64url')}`
}
