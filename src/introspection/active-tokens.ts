import type { Config } from '#src/config/environment'
import type { FoundSession } from '#src/sessions/outcomes'
import type { SessionStore } from '#src/sessions/store'
import type { AccessClaims, RefreshClaims } from '#src/tokens/claims'
import type { Tokens } from '#src/tokens/tokens'

/**
 * Decides which tokens are active now, for every endpoint that answers other services. Uses Redis's clock and writes nothing: a
 * service that may introspect a token must not be able to end its session.
 */

/** Dependencies of these functions; every listener's `app` satisfies them. */
export interface Judges {
  tokens: Pick<Tokens, 'verifyAccess' | 'verifyRefresh'>
  sessions: Pick<SessionStore, 'find'>
  config: Pick<Config, 'REFRESH_RETRY_WINDOW'>
}

/** An authentic token of a live session. */
export interface LiveToken<Claims> {
  claims: Claims
  session: FoundSession
  /** When the token stops being active, unless its session ends before; Unix seconds by Redis's clock. */
  expiresAt: number
}

/**
 * An access token is active until its `exp` while its session lives, whatever the session's generation.
 * @throws StoreUnavailable when Redis could not be asked.
 */
export async function liveAccess ({ tokens, sessions }: Judges, token: string): Promise<LiveToken<AccessClaims> | undefined> {
  const claims = tokens.verifyAccess(token)
  const session = claims && await sessions.find(claims.id, claims.sid)
  return session === undefined || session.now >= claims!.exp ? undefined : { claims: claims!, session, expiresAt: claims!.exp }
}

/**
 * A refresh token is active exactly when a refresh with it, from its own device, would be answered 200 now. The device is not
 * checked: the caller is another service.
 * @throws StoreUnavailable when Redis could not be asked.
 */
export async function liveRefresh ({ tokens, sessions, config }: Judges, token: string): Promise<LiveToken<RefreshClaims> | undefined> {
  const claims = tokens.verifyRefresh(token)
  const session = claims && await sessions.find(claims.id, claims.sid)
  const expiresAt = session && refreshableUntil(claims!, session, config.REFRESH_RETRY_WINDOW)
  return expiresAt === undefined ? undefined : { claims: claims!, session: session!, expiresAt }
}

/**
 * Applies the rules of lua/rotate.lua without writing; a test keeps the two in step.
 *
 * | the record says                                | a refresh would be | active until                                |
 * |------------------------------------------------|--------------------|---------------------------------------------|
 * | no such session, or past `expiresAt`           | unknown, expired   | – (`find` found nothing)                    |
 * | gen = current                                  | rotated            | the session's end                           |
 * | gen = current − 1, within the retry window     | retried            | the window's end, the session's if earlier  |
 * | gen < current otherwise                        | reused             | –                                           |
 * | gen > current, before the token's own `exp`    | recovered          | its own `exp`, the session's end if earlier |
 * | gen > current, past it                         | expired            | –                                           |
 */
function refreshableUntil ({ gen, exp }: RefreshClaims, session: FoundSession, window: number): number | undefined {
  const { now, rotatedAt, expiresAt } = session
  if (gen === session.gen) return expiresAt
  if (gen > session.gen) return now < exp ? Math.min(exp, expiresAt) : undefined
  return gen === session.gen - 1 && now - rotatedAt < window ? Math.min(rotatedAt + window, expiresAt) : undefined
}
