import type { Static } from '@sinclair/typebox'
import type { Introspection } from '#src/schemas/introspection'
import type { FoundSession } from '#src/sessions/replies'
import type { SessionStore } from '#src/sessions/store'
import type { AccessClaims, RefreshClaims } from '#src/tokens/claims'
import type { Tokens } from '#src/tokens/tokens'

/**
 * Decides which tokens are active now, for every endpoint that answers other services. Uses Redis's clock and writes nothing: a
 * service that may introspect a token must not be able to end its session.
 */

/** Dependencies of these functions; every listener's `app` satisfies them. */
export interface Dependencies {
  tokens: Pick<Tokens, 'verifyAccess' | 'verifyRefresh'>
  store: Pick<SessionStore, 'find' | 'findRefreshable'>
}

/** An authentic token of a live session. */
export interface ActiveToken<Claims> {
  claims: Claims
  session: FoundSession
  /** When the token stops being active, unless its session ends before; Unix seconds by Redis's clock. */
  expiresAt: number
}

/** The `token_type_hint` that includes refresh tokens (RFC 7009 section 2.1). */
const ASKS_FOR_REFRESH = 'refresh_token'

/**
 * An access token is active until its `exp` while its session lives, whatever the session's generation.
 * @throws StoreUnavailable when Redis could not be asked.
 */
export async function activeAccess ({ tokens, store }: Dependencies, token: string): Promise<ActiveToken<AccessClaims> | undefined> {
  const claims = tokens.verifyAccess(token)
  const session = claims && await store.find(claims.id, claims.sid)
  return session === undefined || session.now >= claims!.exp ? undefined : { claims: claims!, session, expiresAt: claims!.exp }
}

/** A refresh token is active exactly when a refresh with it would succeed. No device is checked: the caller is another service. */
async function activeRefresh ({ tokens, store }: Dependencies, token: string): Promise<ActiveToken<RefreshClaims> | undefined> {
  const claims = tokens.verifyRefresh(token)
  const found = claims && await store.findRefreshable(claims)
  return found && { claims: claims!, session: found.session, expiresAt: found.refreshableUntil }
}

/**
 * The answer of RFC 7662 section 2.2. Every inactive token, for whatever reason, gets the same `{"active":false}`.
 *
 * Libraries look at `active` alone. So a refresh token is active only for a caller that asks for one by the hint: any other
 * caller guards an API, and a refresh token must never open an API. An access token is active under every hint, as section
 * 2.1 requires; that is safe, because only the refresh endpoint accepts refresh tokens, and it verifies them itself.
 * @throws StoreUnavailable when Redis could not be asked: "inactive" would log the user out.
 */
export async function introspect (app: Dependencies, token: string, hint?: string): Promise<Static<typeof Introspection>> {
  // Access and refresh tokens differ in key and subject, so a token is at most one of them and Redis is asked at most once.
  const access = await activeAccess(app, token)
  // The scheme of `Authorization` (RFC 6750, RFC 9449 section 6.2). The caller checks the proof, because it has the request.
  if (access !== undefined) return describe(access, { token_type: access.claims.cnf === undefined ? 'Bearer' : 'DPoP', token_use: 'access' }, access.claims.cnf)
  const refresh = hint === ASKS_FOR_REFRESH ? await activeRefresh(app, token) : undefined
  // RFC 8693 section 2.2.1: `N_A` for a token that gives access to no resource.
  if (refresh !== undefined) return describe(refresh, { token_type: 'N_A', token_use: 'refresh' }, refresh.session.jkt === undefined ? undefined : { jkt: refresh.session.jkt })
  return { active: false }
}

function describe (
  { claims, session, expiresAt }: ActiveToken<AccessClaims | RefreshClaims>,
  use: { token_type: 'Bearer' | 'DPoP' | 'N_A', token_use: 'access' | 'refresh' },
  cnf: { jkt: string } | undefined
) {
  return {
    // First, so that no claim of a login service replaces a member below.
    ...session.claims,
    active: true as const,
    ...use,
    // In RFC 7662 `sub` is the resource owner. In our JWTs `sub` may be the kind of token, so it is not copied: every consumer
    // would take "Authentication" for a user.
    sub: String(claims.id),
    // Unknown is absent, as in an access token.
    username: session.email || undefined,
    iss: claims.iss,
    iat: claims.iat,
    exp: expiresAt,
    id: claims.id,
    sid: claims.sid,
    role: session.role || undefined,
    client_id: session.clientId,
    cnf
  }
}
