import { hash, randomBytes } from 'node:crypto'

/** The fields of a user's record. Other services read this format: it is public. lua/common.lua alone writes it. */

/** 128 random bits, base64url: 22 characters. */
export function newSessionId (): string {
  return randomBytes(16).toString('base64url')
}

/**
 * The first 96 bits of SHA-256, base64url: 16 characters. Enough to tell devices apart, and the identifier that a
 * client calls its own never reaches Redis.
 */
export function hashDevice (deviceId: string): string {
  return hash('sha256', deviceId, 'base64url').slice(0, 16)
}

/**
 * When the session of an `s:<sid>` value expires, in Unix seconds by Redis's clock; `undefined` when the value is not
 * `gen:createdAt:rotatedAt:expiresAt:device`.
 */
export function expiryOf (value: string): number | undefined {
  const [, expiresAt] = /^\d+:\d+:\d+:(\d+):/.exec(value) ?? []
  return expiresAt === undefined ? undefined : Number(expiresAt)
}
