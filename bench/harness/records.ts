import { createHmac } from 'node:crypto'
import type { Redis } from 'ioredis'
import { Environment } from '../../src/config/schema.ts'
import { hashDevice, newSessionId, userKey } from '../../src/redis/records.ts'
import type { Generation } from '../../src/tokens/claims.ts'
import { parseKeys } from '../../src/tokens/keys.ts'
import { DEVICE_ID, secrets, type Service } from './contenders.ts'

/**
 * Writes millions of sessions into Redis in the documented format, because opening them one by one would take an hour.
 * `assertSameRecord` checks that the service writes identical records.
 */

const { REDIS_PREFIX, REFRESH_IDLE_TTL, JWT_ISSUER } = Environment.properties
export const prefix = String(REDIS_PREFIX.default)
const idleTtl = Number(REFRESH_IDLE_TTL.default)

/** Commands sent before their replies are awaited. */
const BATCH = 20_000

/**
 * Writes `users` users from id `from` on, with `sessionsEach` sessions each. Returns the generation of the first session of
 * every `sample`-th user.
 */
export async function writeRecords (
  redis: Redis, from: number, users: number, sessionsEach = 1, sample = Infinity, emailOf = (id: number) => `user${id}@example.com`
): Promise<Generation[]> {
  const now = Number((await redis.time())[0])
  const exp = now + idleTtl
  const devices = Array.from({ length: sessionsEach }, (_, i) => hashDevice(i === 0 ? DEVICE_ID : `${DEVICE_ID} ${i}`))
  const samples: Generation[] = []
  let pipeline = redis.pipeline()
  for (let id = from; id < from + users; id++) {
    const key = userKey(prefix, id)
    const fields = ['email', emailOf(id), 'role', 'GUEST']
    for (const device of devices) {
      const sid = newSessionId()
      fields.push(`s:${sid}`, `001:${now}:${now}:${exp}:${device}`)
      if ((id - from) % sample === 0 && device === devices[0]) samples.push({ id, sid, gen: 1, iat: now, exp })
    }
    pipeline.hset(key, ...fields)
    pipeline.expireat(key, exp)
    if (pipeline.length >= BATCH) {
      await pipeline.exec()
      pipeline = redis.pipeline()
    }
  }
  await pipeline.exec()
  return samples
}

/** Signs the refresh token of a generation as the service would. */
export function signGeneration ({ id, sid, gen, iat, exp }: Generation): string {
  const [{ kid, secret }] = parseKeys(secrets.refresh)
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = { sub: 'Refresh', iss: JWT_ISSUER.default, id, sid, gen, iat, exp }
  const signed = `${encode({ alg: 'HS512', typ: 'JWT', kid })}.${encode(claims)}`
  return `${signed}.${createHmac('sha512', secret).update(signed).digest('base64url')}`
}

/** Throws unless a written record equals a record of the service in fields, encoding, expiry and size. */
export async function assertSameRecord (service: Service, redis: Redis): Promise<void> {
  const [opened, written] = [900_000_001, 900_000_002]
  await service.open(opened, 1)
  await writeRecords(redis, written, 1)
  const describe = async (id: number): Promise<string> => {
    const key = userKey(prefix, id)
    const fields = Object.entries(await redis.hgetall(key)).map(([name, value]) =>
      name.startsWith('s:') ? `s:${name.length} ${value.replace(/\d{10}/g, 'time')}` : `${name} ${value.replace(String(id), 'id')}`)
    const ttl = Math.round(await redis.ttl(key) / 10)
    return JSON.stringify([fields, ttl, await redis.object('ENCODING', key), await redis.memory('USAGE', key)])
  }
  const [byService, byUs] = [await describe(opened), await describe(written)]
  if (byService !== byUs) throw new Error(`records differ:\n${byService}\n${byUs}`)
  await redis.del(userKey(prefix, opened), userKey(prefix, written))
}
