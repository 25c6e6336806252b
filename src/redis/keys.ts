/** The names of keys and channels in Redis. They are public: other services use them. */

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

/** The hash of the replicas' signing keys: `refresh:<kid>` and `access:<kid>`, each with the Unix seconds of its last announcement. */
export function signingKeysKey (prefix: string): string {
  return `${prefix}meta:keys`
}
