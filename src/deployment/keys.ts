import type { RedisClient } from '#src/redis/client'
import { signingKeysKey } from '#src/redis/records'
import { announceKeys } from '#src/sessions/commands'
import { toKeyNames } from '#src/sessions/replies'
import type { KeyNames } from '#src/config/signing-keys'

// Replicas with different secrets refuse one another's tokens, and clients must log in again. So each replica announces the
// names of its signing keys. A name is a keyed hash, or the thumbprint of a public key, and is public: every token shows it.

/** Seconds between two announcements. */
export const ANNOUNCE_INTERVAL = 60

/** Seconds after which a key that no replica announces is forgotten: two announcements may be lost. */
const LIFETIME = 3 * ANNOUNCE_INTERVAL

/** Announces this replica's signing keys. @returns the signing keys of other replicas that this one does not know. */
export async function compareKeys (redis: RedisClient, prefix: string, { signing, known }: KeyNames): Promise<string[]> {
  return unknownOf(toKeyNames(await redis.eval(...announceKeys(prefix, signing, LIFETIME))), known)
}

/** Withdraws the announcement when a replica shuts down; replicas with the same keys announce them again. */
export async function withdrawKeys (redis: RedisClient, prefix: string, { signing }: KeyNames): Promise<void> {
  await redis.hdel(signingKeysKey(prefix), ...signing)
}

/** Reads the announced signing keys of all replicas. Writes nothing. */
export async function readAnnounced (redis: RedisClient, prefix: string): Promise<string[]> {
  const [fields, [now]] = await Promise.all([redis.hgetall(signingKeysKey(prefix)), redis.time()])
  return Object.entries(fields).filter(([, said]) => Math.abs(Number(now) - Number(said)) < LIFETIME).map(([name]) => name)
}

export function unknownOf (names: string[], known: Set<string>): string[] {
  return names.filter(name => /^(refresh|access):/.test(name) && !known.has(name)).sort()
}
