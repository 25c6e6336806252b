import type { Static } from '@sinclair/typebox'
import { liveAccess, liveRefresh, type Judges, type LiveToken } from './live-tokens.ts'
import type { Introspection } from './schemas/introspection.ts'
import type { AccessClaims, RefreshClaims } from './tokens/claims.ts'

/**
 * What RFC 7662 section 2.2 says of a token. One that is not good for whatever reason, and what is no token at all, get
 * the same `{"active":false}`: the reason is nobody's business.
 * @throws StoreUnavailable when Redis could not be asked: "inactive" would log the user out.
 */
export async function introspect (judges: Judges, token: string): Promise<Static<typeof Introspection>> {
  // Their keys and subjects differ, so that a token is at most one of the two and Redis is asked at most once.
  const access = await liveAccess(judges, token)
  // RFC 6750's name for what may be presented as `Authorization: Bearer`.
  if (access !== undefined) return { active: true, token_type: 'Bearer', token_use: 'access', ...describe(access) }
  const refresh = await liveRefresh(judges, token)
  // RFC 8693 section 2.2.1: a token that opens no resource has no type that says how to present it.
  if (refresh !== undefined) return { active: true, token_type: 'N_A', token_use: 'refresh', ...describe(refresh) }
  return { active: false }
}

function describe ({ claims, session, expiresAt }: LiveToken<AccessClaims | RefreshClaims>) {
  return {
    // Here `sub` is the resource owner; our JWTs' own says, as documented, which kind of token they are. So it is not
    // copied: every consumer of RFC 7662 would take "Authentication" for a user.
    sub: String(claims.id),
    username: session.email,
    iss: claims.iss,
    iat: claims.iat,
    exp: expiresAt,
    id: claims.id,
    sid: claims.sid,
    role: session.role
  }
}
