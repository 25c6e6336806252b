import type { RedisClient } from '#src/redis/client'
import { issuerKey } from '#src/redis/keys'
import { readScript } from '#src/sessions/scripts'

const source = readScript('claim-issuer')

/** The settings that decide which issuer owns a prefix. */
export interface Ownership {
  REDIS_PREFIX: string
  JWT_ISSUER: string
  REFRESH_ABSOLUTE_TTL: number
}

/**
 * Claims the prefix for this issuer, unless another issuer has it. The marker expires with the last session that it covers.
 * @returns the issuer that has the prefix.
 */
export async function claimPrefix (
  redis: RedisClient, { REDIS_PREFIX: prefix, JWT_ISSUER: issuer, REFRESH_ABSOLUTE_TTL: ttl }: Ownership
): Promise<string> {
  return await redis.eval(source, 1, issuerKey(prefix), issuer, ttl) as string
}

/** Returns the issuer that has the prefix; `undefined` if none has it. Writes nothing. */
export async function readOwner (redis: RedisClient, prefix: string): Promise<string | undefined> {
  const [owner] = await redis.hmget(issuerKey(prefix), 'issuer')
  return owner ?? undefined
}

/** The error message when another issuer has the prefix. Both issuers are public: every token names its own. */
export function foreignPrefix (owner: string, { REDIS_PREFIX: prefix, JWT_ISSUER: issuer }: Ownership): string {
  return `REDIS_PREFIX ${prefix} belongs to the JWT_ISSUER ${owner}, not to ${issuer}: with one prefix two deployments would mix their users. ` +
    `Give each deployment a REDIS_PREFIX of its own; or, to change the issuer on purpose, which logs everybody out, stop all replicas and run redis-cli DEL ${issuerKey(prefix)}, or remove the folder redis under DATA_DIR if Redis runs there.`
}
