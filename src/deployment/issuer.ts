import type { RedisClient } from '#src/redis/client'
import { issuerKey } from '#src/redis/records'
import { claimIssuer } from '#src/sessions/commands'
import { toOwner } from '#src/sessions/replies'

/** The settings that decide which issuer owns a prefix. */
export interface Ownership {
  prefix: string
  issuer: string
  /** Maximum lifetime of a session, seconds. */
  absoluteTtl: number
}

/**
 * Claims the prefix for this issuer, unless another issuer has it. The marker expires with the last session that it covers.
 * @returns the issuer that has the prefix.
 */
export async function claimPrefix (redis: RedisClient, { prefix, issuer, absoluteTtl }: Ownership): Promise<string> {
  return toOwner(await redis.eval(...claimIssuer(prefix, issuer, absoluteTtl)))
}

/** Returns the issuer that has the prefix; `undefined` if none has it. Writes nothing. */
export async function readOwner (redis: RedisClient, prefix: string): Promise<string | undefined> {
  const [owner] = await redis.hmget(issuerKey(prefix), 'issuer')
  return owner ?? undefined
}

/** The error message when another issuer has the prefix. Both issuers are public: every token names its own. */
export function foreignPrefix (owner: string, { prefix, issuer }: Ownership): string {
  return `REDIS_PREFIX ${prefix} belongs to the JWT_ISSUER ${owner}, not to ${issuer}: with one prefix two deployments would mix their users. ` +
    `Give each deployment a REDIS_PREFIX of its own; or, to change the issuer on purpose, which logs everybody out, stop all replicas and run redis-cli DEL ${issuerKey(prefix)}, or remove the folder redis under DATA_DIR if Redis runs there.`
}
