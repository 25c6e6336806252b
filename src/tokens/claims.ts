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
  /** 1 when the session is opened, +1 at every rotation; 0 for a legacy token. */
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

/** `documented`: the claims of docs/design.md. `rfc9068`: the profile for access tokens that standard verifiers expect (RFC 9068). */
export type AccessFormat = 'documented' | 'rfc9068'

/** `typ` in the header of an access token; verifiers tell the formats apart by it. */
export const accessTypes: Record<AccessFormat, string> = { documented: 'JWT', rfc9068: 'at+jwt' }

export interface AccessClaims {
  /** `Authentication`, or the user's id in the format rfc9068. */
  sub: string
  iss: string
  id: UserId
  sid: string
  iat: number
  exp: number
  /** The services that the token is for. */
  aud?: string | string[]
  /** The thumbprint of the key that each request with the token must prove (RFC 9449 section 6.1). */
  cnf?: { jkt: string }
  /** Only in the format rfc9068. */
  client_id?: string
  jti?: string
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

/** Checks that verified claims are those of an access token of a format: an older one without `sid` belongs to no session. */
export function isAccessClaims (payload: unknown, format: AccessFormat): payload is AccessClaims {
  const { sub, id, sid, iat, exp } = Object(payload)
  return isUserId(id) && sub === (format === 'rfc9068' ? String(id) : 'Authentication') && isPositiveInteger(iat) && isPositiveInteger(exp) && isSid(sid)
}

function isSid (value: unknown): boolean {
  return typeof value === 'string' && SID.test(value)
}

function isPositiveInteger (value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) > 0
}
