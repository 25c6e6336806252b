import type { Static } from '@sinclair/typebox'
import { liveAccess, liveRefresh, type Judges, type LiveToken } from './active-tokens.ts'
import type { Introspection } from '#src/schemas/introspection'
import type { AccessClaims, RefreshClaims } from '#src/tokens/claims'

/** The hint that asks about refresh tokens too (RFC 7009 section 2.1). */
const ASKS_FOR_REFRESH = 'refresh_token'

/**
 * The answer of RFC 7662 section 2.2. Every token that is not good, for whatever reason, gets the same `{"active":false}`.
 *
 * Libraries look at `active` alone. So a refresh token is active only for a caller that asks for one by the hint: any other
 * caller guards an API, which a refresh token must never open. The reverse opens nothing, since only the refresh itself
 * takes refresh tokens, and it verifies them: an access token is active under every hint, as section 2.1 requires.
 * @throws StoreUnavailable when Redis could not be asked: "inactive" would log the user out.
 */
export async function introspect (judges: Judges, token: string, hint?: string): Promise<Static<typeof Introspection>> {
  // Keys and subjects differ, so a token is at most one of the two and Redis is asked at most once.
  const access = await liveAccess(judges, token)
  // RFC 6750's name for what may be presented as `Authorization: Bearer`.
  if (access !== undefined) return { active: true, token_type: 'Bearer', token_use: 'access', ...describe(access) }
  const refresh = hint === ASKS_FOR_REFRESH ? await liveRefresh(judges, token) : undefined
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
