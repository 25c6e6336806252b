import { isAccessClaims, isRefreshClaims, type AccessClaims, type Generation, type RefreshClaims } from './claims.ts'
import { isCanonical } from './signature.ts'

/** Signs and verifies with one key: what @fastify/jwt decorates, narrowed to what is used here. */
export interface KeyedJwt {
  /** The only `alg` of its tokens. */
  algorithm: string
  /** Of every token that it signs, encoded. */
  header: string
  sign (claims: object): string
  /** Throws unless signature, algorithm, issuer and `sub` are as they must be. */
  verify (token: string): object
}

export interface TokensOptions {
  /** `iss` of every token. */
  issuer: string
  /** Lifetime of an access token in seconds. */
  accessTtl: number
  /** The first signs, all verify; each with an algorithm of its own. */
  access: [KeyedJwt, ...KeyedJwt[]]
  /** The first signs, all verify. */
  refresh: [KeyedJwt, ...KeyedJwt[]]
}

export interface Tokens {
  /** The refresh token of a generation. The same generation gives the same bytes, on every replica. */
  signRefresh (generation: Generation): string
  /** An access token for a session; `now` in Unix seconds. */
  signAccess (session: { id: number, sid: string }, now: number): string
  /**
   * The claims of an authentic refresh token, else `undefined`. Does not judge `exp`: the session's record does, by
   * Redis's clock, so that an expired ancestor still counts as reuse and no replica's clock can log anybody out.
   */
  verifyRefresh (token: string): RefreshClaims | undefined
  /** The claims of an authentic access token, else `undefined`. Does not judge `exp` either: the caller knows the time. */
  verifyAccess (token: string): AccessClaims | undefined
}

/**
 * Compact serialization (RFC 7515 section 7.1) of an HS512 token. Base64url leaves four unused bits in the last
 * character of a 64 byte signature: only the encoding with zeros there is ours (RFC 4648 section 3.5), or else one
 * token would have sixteen spellings.
 */
const COMPACT_HS512 = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{85}[AQgw]$/

/** The same of a token whose key decides how long its signature is. */
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)$/

export function createTokens ({ issuer, accessTtl, access, refresh }: TokensOptions): Tokens {
  const refreshByHeader = new Map(refresh.map(key => [key.header, key]))
  const accessByHeader = new Map(access.map(key => [key.header, key]))

  return {
    signRefresh ({ id, sid, gen, iat, exp }) {
      const claims: RefreshClaims = { sub: 'Refresh', iss: issuer, id, sid, gen, iat, exp }
      return refresh[0].sign(claims)
    },

    signAccess ({ id, sid }, now) {
      const claims: AccessClaims = { sub: 'Authentication', iss: issuer, id, sid, iat: now, exp: now + accessTtl }
      return access[0].sign(claims)
    },

    verifyRefresh (token) {
      if (!COMPACT_HS512.test(token)) return undefined
      try {
        const claims = refreshByHeader.get(headerOf(token))?.verify(token)
        return claims !== undefined && isRefreshClaims(claims) ? claims : undefined
      } catch {
        return undefined
      }
    },

    verifyAccess (token) {
      const signature = COMPACT.exec(token)?.[1]
      const key = accessByHeader.get(headerOf(token))
      if (signature === undefined || key === undefined || !isCanonical(signature, key.algorithm)) return undefined
      try {
        const claims = key.verify(token)
        return isAccessClaims(claims) ? claims : undefined
      } catch {
        return undefined
      }
    }
  }
}

/**
 * Not yet authenticated: it only chooses the key that must prove it. Nobody else signs with our keys, so another spelling,
 * or a header with more in it (`crit`, `jku`, `b64`), is none of ours.
 */
function headerOf (token: string): string {
  return token.slice(0, token.indexOf('.'))
}
