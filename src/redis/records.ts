import { hash, randomBytes } from 'node:crypto'
import type { UserId } from '#src/tokens/user-id'

/** The names of keys and channels in Redis, and the fields of a user's record. They are public: other services use them. */

/** The hash that holds a user's profile and sessions. */
export function userKey (prefix: string, userId: UserId): string {
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

/**
 * The hash that remembers an imported session until its line expires: `id`, the user's id in JSON. `name` is the hash of its legacy
 * token, or its sid.
 */
export function importedKey (prefix: string, name: string): string {
  return `${prefix}meta:imported:${name}`
}

/** SHA-256, base64url: 43 characters. A legacy token never reaches Redis. */
export function hashLegacyToken (token: string): string {
  return hash('sha256', token, 'base64url')
}

/** The sid of the session of a legacy token: a pure function of the token's hash, so that a repeated import finds it. */
export function importedSessionId (tokenHash: string): string {
  return hash('sha256', `refresh-token-service import ${tokenHash}`, 'buffer').subarray(0, 16).toString('base64url')
}

/** The stream of events that `EVENTS_STREAM` turns on. */
export function eventStreamKey (prefix: string): string {
  return `${prefix}meta:events`
}

/** 128 random bits, base64url: 22 characters. */
export function newSessionId (): string {
  return randomBytes(16).toString('base64url')
}

/**
 * The first 96 bits of SHA-256, base64url: 16 characters. Enough to tell devices apart; the client's own identifier never
 * reaches Redis.
 */
export function hashDevice (deviceId: string): string {
  return hash('sha256', deviceId, 'base64url').slice(0, 16)
}

/** The first 48 bits of SHA-256, base64url: 8 characters. The client's own key never reaches Redis, and a thief has one guess. */
export function hashIdempotencyKey (key: string): string {
  return hash('sha256', key, 'base64url').slice(0, 8)
}

/**
 * Returns the expiry in an `s:<sid>` value, Unix seconds by Redis's clock; `undefined` if the value does not begin with
 * `gen:createdAt:rotatedAt:expiresAt:device`. Any parts may follow.
 */
export function expiryOf (value: string): number | undefined {
  const [, expiresAt] = /^\d+:\d+:\d+:(\d+):/.exec(value) ?? []
  return expiresAt === undefined ? undefined : Number(expiresAt)
}
