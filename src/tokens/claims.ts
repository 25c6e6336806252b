/**
 * What our JWTs say (RFC 7519). The public names `sub`, `iss` and `id` are as documented; `sid` and `gen` are what
 * rotation needs. Times are Unix seconds by Redis's clock.
 */

/** One generation of one session. Together with the signing key it determines the refresh token, byte for byte. */
export interface Generation {
  /** User id: a positive safe integer. */
  id: number
  /** Session id: 128 random bits, base64url. */
  sid: string
  /** 1 when the session is opened, +1 at every rotation. */
  gen: number
  /** When this generation was made. */
  iat: number
  /** When the session expires unless it is refreshed. */
  exp: number
}

export interface RefreshClaims extends Generation {
  sub: 'Refresh'
  iss: string
}

export interface AccessClaims {
  sub: 'Authentication'
  iss: string
  id: number
  sid: string
  iat: number
  exp: number
}

const SID = /^[A-Za-z0-9_-]{22}$/

/**
 * Says whether verified claims are those of a refresh token of ours. A signature proves who wrote a token, not what is
 * in it: tokens from before `sid` and `gen`, signed with the same secret, end here.
 */
export function isRefreshClaims (claims: Partial<Record<keyof RefreshClaims, unknown>>): claims is RefreshClaims {
  return isPositiveInteger(claims.id) && isPositiveInteger(claims.gen) && isPositiveInteger(claims.iat) && isPositiveInteger(claims.exp) &&
    isSid(claims.sid)
}

/** The same for an access token: one from before `sid` belongs to no session. */
export function isAccessClaims (claims: Partial<Record<keyof AccessClaims, unknown>>): claims is AccessClaims {
  return isPositiveInteger(claims.id) && isPositiveInteger(claims.iat) && isPositiveInteger(claims.exp) && isSid(claims.sid)
}

function isSid (value: unknown): boolean {
  return typeof value === 'string' && SID.test(value)
}

function isPositiveInteger (value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) > 0
}
