import { isAccessClaims, isRefreshClaims, type AccessClaims, type AccessFormat, type Generation, type RefreshClaims } from './claims.ts'
import type { Claims } from './custom-claims.ts'
import { encodeHeader } from './hmac.ts'
import { isCanonical } from './signature.ts'

/** Verifies tokens of one key with one header. */
export interface VerifyingKey {
  /** The only `alg` of this key's tokens. */
  algorithm: string
  /** The encoded header. */
  header: string
  /** Returns the claims. Throws unless the key signed the token; a key of access tokens also checks the issuer. */
  verify (token: string): unknown
}

/** Signs and verifies with one key. */
export interface KeyedJwt extends VerifyingKey {
  sign (claims: object): string
}

/** Verifies access tokens of one key in one format. */
export interface AccessKey extends VerifyingKey {
  format: AccessFormat
}

export interface TokensOptions {
  /** `iss` of every token. */
  issuer: string
  /** Lifetime of an access token in seconds. */
  accessTtl: number
  /** The fields of the profile that access tokens carry. */
  profileClaims: Array<'email' | 'role'>
  /** The format of new access tokens. Tokens of both formats verify. */
  format: AccessFormat
  /** `aud` of new access tokens; required in the format rfc9068. */
  audience: string | string[] | undefined
  /** Signs access tokens with the first key. */
  signAccess (claims: object): string
  /** All keys, each with its own algorithm, in both formats. */
  access: AccessKey[]
  /** The first key signs, all verify. */
  refresh: [KeyedJwt, ...KeyedJwt[]]
}

export interface Tokens {
  /** Signs the refresh token of a generation. The same generation gives the same bytes on every replica. */
  signRefresh (generation: Generation): string
  /**
   * Signs an access token for a session; `now` is in Unix seconds. The registered claims come first, then those of the profile,
   * then `claims`. A claim never replaces one of an earlier group, not even an empty profile field. `clientId` is the session's
   * OAuth client; `jkt`, the thumbprint of its key, becomes the claim `cnf` (RFC 7800, RFC 9449 section 6.1).
   */
  signAccess (
    session: Pick<Generation, 'id' | 'sid' | 'gen'>, now: number, profile?: { email: string, role: string }, claims?: Claims,
    binding?: { clientId?: string, jkt?: string }
  ): string
  /**
   * Returns the claims of an authentic refresh token, else `undefined`. Does not check `exp`: the session's record decides,
   * by Redis's clock, so that an expired ancestor still counts as reuse and no replica's clock can log a user out.
   */
  verifyRefresh (token: string): RefreshClaims | undefined
  /** Returns the claims of an authentic access token, else `undefined`. The caller checks `exp`, because it knows the time. */
  verifyAccess (token: string): AccessClaims | undefined
}

/** The start of the header of every refresh token of this service, with any key. Its 33 bytes are whole characters of base64url. */
const OWN_HEADER = encodeHeader('HS512', '', 'JWT').slice(0, 44)

/** The length of that header with the `kid` of parseKeys. */
const OWN_HEADER_LENGTH = encodeHeader('HS512', 'kid-of-8', 'JWT').length

/**
 * Whether a text looks like a refresh token of this service, of a known key or not. Then it is no token of another service, and a forged
 * one costs no look-up.
 */
export function hasOwnForm (token: string): boolean {
  return token.startsWith(OWN_HEADER) && token.indexOf('.') === OWN_HEADER_LENGTH
}

/** Compact serialization (RFC 7515 section 7.1). */
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)$/

export function createTokens (options: TokensOptions): Tokens {
  const { issuer, accessTtl, profileClaims, format, audience, access, refresh } = options
  const refreshByHeader = new Map(refresh.map(key => [key.header, key]))
  const accessByHeader = new Map(access.map(key => [key.header, key]))

  return {
    signRefresh ({ id, sid, gen, iat, exp }) {
      const claims: RefreshClaims = { sub: 'Refresh', iss: issuer, id, sid, gen, iat, exp }
      return refresh[0].sign(claims)
    },

    signAccess ({ id, sid, gen }, now, profile, claims, binding) {
      const exp = now + accessTtl
      const own: AccessClaims = format === 'documented'
        ? { sub: 'Authentication', iss: issuer, id, sid, iat: now, exp }
        : { iss: issuer, sub: String(id), client_id: binding?.clientId ?? issuer, id, sid, iat: now, exp, jti: `${sid}.${gen}.${now}` }
      if (audience !== undefined) own.aud = audience
      if (binding?.jkt !== undefined) own.cnf = { jkt: binding.jkt }
      if (profile !== undefined) for (const name of profileClaims) Object.assign(own, { [name]: profile[name] || undefined })
      return options.signAccess(claims === undefined ? own : { ...own, ...claims, ...own })
    },

    verifyRefresh (token) {
      try {
        const claims = refreshByHeader.get(headerOf(token))?.verify(token)
        return isRefreshClaims(claims, issuer) ? claims : undefined
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
        return isAccessClaims(claims, key.format) ? claims : undefined
      } catch {
        return undefined
      }
    }
  }
}

/**
 * Returns the header, not yet authenticated: it only selects the key that must verify it. Only the service signs with these
 * keys, so a header with another spelling, or with more members (`crit`, `jku`, `b64`), is refused.
 */
function headerOf (token: string): string {
  return token.slice(0, token.indexOf('.'))
}
