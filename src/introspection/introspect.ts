import type { Static } from '@sinclair/typebox'
import { liveAccess, liveRefresh, type Judges, type LiveToken } from './active-tokens.ts'
import type { Introspection } from '#src/schemas/introspection'
import type { AccessClaims, RefreshClaims } from '#src/tokens/claims'

/** The `token_type_hint` that includes refresh tokens (RFC 7009 section 2.1). */
const ASKS_FOR_REFRESH = 'refresh_token'

/**
 * The answer of RFC 7662 section 2.2. Every inactive token, for whatever reason, gets the same `{"active":false}`.
 *
 * Libraries look at `active` alone. So a refresh token is active only for a caller that asks for one by the hint: any other
 * caller guards an API, and a refresh token must never open an API. An access token is active under every hint, as section
 * 2.1 requires; that is safe, because only the refresh endpoint accepts refresh tokens, and it verifies them itself.
 * @throws StoreUnavailable when Redis could not be asked: "inactive" would log the user out.
 */
export async function introspect (judges: Judges, token: string, hint?: string): Promise<Static<typeof Introspection>> {
  // Access and refresh tokens differ in key and subject, so a token is at most one of them and Redis is asked at most once.
  const access = await liveAccess(judges, token)
  // RFC 6750's name for a token that may be presented as `Authorization: Bearer`.
  if (access !== undefined) return { active: true, token_type: 'Bearer', token_use: 'access', ...describe(access) }
  const refresh = hint === ASKS_FOR_REFRESH ? await liveRefresh(judges, token) : undefined
  // RFC 8693 section 2.2.1: `N_A` for a token that gives access to no resource.
  if (refresh !== undefined) return { active: true, token_type: 'N_A', token_use: 'refresh', ...describe(refresh) }
  return { active: false }
}

function describe ({ claims, session, expiresAt }: LiveToken<AccessClaims | RefreshClaims>) {
  return {
    // In RFC 7662 `sub` is the resource owner. In our JWTs `sub` is the kind of token, as documented, so it is not copied:
    // every consumer would take "Authentication" for a user.
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
