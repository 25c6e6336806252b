/** The names of keys and channels in Redis, in one place. Other services know them: they are public. */

/** The hash that holds a user's profile and sessions. */
export function userKey (prefix: string, userId: number): string {
  return `${prefix}${userId}`
}

/** The channel on which ended sessions are announced. */
export function eventsChannel (prefix: string): string {
  return `${prefix}events`
}

/** The hash with the `issuer` that the users of a prefix belong to. */
export function issuerKey (prefix: string): string {
  return `${prefix}meta:issuer`
}

/** The hash of keys that replicas sign with: `refresh:<kid>` and `access:<kid>`, each with the Unix seconds when one last said so. */
export function signingKeysKey (prefix: string): string {
  return `${prefix}meta:keys`
}
