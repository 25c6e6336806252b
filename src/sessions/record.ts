import { hash, randomBytes } from 'node:crypto'

/** The fields of a user's record. The format is public: other services read it. Only lua/common.lua writes it. */

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

/**
 * Returns the expiry in an `s:<sid>` value, Unix seconds by Redis's clock; `undefined` if the value is not
 * `gen:createdAt:rotatedAt:expiresAt:device`.
 */
export function expiryOf (value: string): number | undefined {
  const [, expiresAt] = /^\d+:\d+:\d+:(\d+):/.exec(value) ?? []
  return expiresAt === undefined ? undefined : Number(expiresAt)
}
