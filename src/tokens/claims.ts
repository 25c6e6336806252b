/**
 * The claims of the service's JWTs (RFC 7519). `sub`, `iss` and `id` are public and documented; rotation needs `sid` and
 * `gen`. Times are Unix seconds by Redis's clock.
 */

import { isUserId, type UserId } from './user-id.ts'

/** One generation of one session. Together with the signing key it determines the refresh token, byte for byte. */
export interface Generation {
  id: UserId
  /** Session id: 128 random bits, base64url. */
  sid: string
  /** 1 when the session is opened, +1 at every rotation. */
  gen: number
  /** Time this generation was made. */
  iat: number
  /** Time the session expires unless it is refreshed. */
  exp: number
}

export interface RefreshClaims extends Generation {
  sub: 'Refresh'
  iss: string
}

export interface AccessClaims {
  sub: 'Authentication'
  iss: string
  id: UserId
  sid: string
  iat: number
  exp: number
}

const SID = /^[A-Za-z0-9_-]{22}$/

/**
 * Checks that the payload of a verified token holds the claims of a refresh token. A signature proves the author of a token, not
 * its contents: this refuses access tokens, and older tokens without `sid` and `gen`, signed with the same secret.
 */
export function isRefreshClaims (payload: unknown, issuer: string): payload is RefreshClaims {
  const { sub, iss, id, sid, gen, iat, exp } = Object(payload)
  return sub === 'Refresh' && iss === issuer && isUserId(id) && isPositiveInteger(gen) && isPositiveInteger(iat) &&
    isPositiveInteger(exp) && isSid(sid)
}

/** Checks that verified claims are those of an access token: an older one without `sid` belongs to no session. */
export function isAccessClaims (payload: unknown): payload is AccessClaims {
  const { id, sid, iat, exp } = Object(payload)
  return isUserId(id) && isPositiveInteger(iat) && isPositiveInteger(exp) && isSid(sid)
}

function isSid (value: unknown): boolean {
  return typeof value === 'string' && SID.test(value)
}

function isPositiveInteger (value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) > 0
}
