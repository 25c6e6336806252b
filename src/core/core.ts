import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import { InvalidProof } from '#src/dpop/proof'
import type { ProofOf } from '#src/dpop/refresh'
import { RefreshRefused, type RefusalOutcome } from '#src/errors'
import type { LogoutOutcome, RefreshOutcome } from '#src/metrics/definitions'
import { admit, type ConcurrencyLimit } from '#src/overload/concurrency-limit'
import type { Limiter } from '#src/overload/rate-limit'
import { nameOfSession } from '#src/overload/rate-limit-names'
import type { EndReason, LiveSession } from '#src/sessions/replies'
import { hashLegacyToken, importedSessionId } from '#src/redis/records'
import { sessionTokens, type TokensOfSession } from '#src/sessions/session-tokens'
import type { SessionStore } from '#src/sessions/store'
import type { RefreshClaims } from '#src/tokens/claims'
import { claimsMistake, type Claims } from '#src/tokens/custom-claims'
import { hasOwnForm } from '#src/tokens/tokens'
import type { UserId } from '#src/tokens/user-id'
import type { Signing } from './signing.ts'

/** A session whose access token is about to be signed. */
export interface SessionForClaims {
  id: UserId
  sid: string
  email: string
  role: string
  /** The stored claims of the user and the session. */
  claims: Claims
}

/** Returns more claims for an access token; they replace stored claims of the same name. */
export type ClaimsOf = (session: SessionForClaims) => Promise<Claims | undefined> | Claims | undefined

/** Limits of the requests of clients. */
export interface Limits {
  concurrencyLimit: Pick<ConcurrencyLimit, 'acquire' | 'release'>
  limitSession: Limiter | undefined
}

export interface CoreOptions extends Signing {
  store: SessionStore
  limits: Limits
  log: FastifyBaseLogger
  /** Counts the outcome of a request that was answered. */
  count: (route: 'refreshes' | 'logouts', outcome: RefreshOutcome | LogoutOutcome) => void
  claims?: ClaimsOf | undefined
  /** Absent with `DPOP=off`. */
  proofOf?: ProofOf | undefined
  /** Whether imported sessions are refreshed with the tokens of the service that they come from. */
  legacyTokens: boolean
  onEvent?: OnEvent | undefined
}

/** A refresh token, and the device and the OAuth client that present it. */
export interface Presented {
  /** Absent only for a session that has no device. */
  deviceId?: string | undefined
  refreshToken: string
  idempotencyKey?: string | undefined
  /** Several requests share the token: see `Credentials`. */
  shared?: boolean | undefined
  /** Already authenticated, if it is a confidential client. */
  clientId?: string | undefined
}

/** A refreshed session, and its new tokens. */
export interface Refreshed {
  /** With the claims of the option `claims`. */
  session: LiveSession
  body: TokensOfSession
}

/** Refreshes and ends sessions for clients; knows no app. */
export interface Core extends Pick<CoreOptions, 'store' | 'tokens' | 'jwks' | 'limits'> {
  /**
   * Exchanges a refresh token for new tokens. `request` is the client's, if there is one.
   * @throws RefreshRefused, TurnedAway, StoreUnavailable.
   */
  refresh (presented: Presented, request?: FastifyRequest): Promise<Refreshed>
  /** Ends the session of a refresh token. @throws as `refresh` does. */
  logOut (presented: Presented, request: FastifyRequest): Promise<void>
  /** The tokens of an open session. */
  tokensOf (session: LiveSession): TokensOfSession | Promise<TokensOfSession>
}

export function createCore (options: CoreOptions): Core {
  const { store, tokens, jwks, limits, log, count, claims: claimsOf, proofOf, legacyTokens, onEvent } = options
  const { concurrencyLimit, limitSession } = limits

  const tokensOf: Core['tokensOf'] = claimsOf === undefined
    ? session => sessionTokens(tokens, session)
    : async session => sessionTokens(tokens, await withClaims(session, claimsOf))

  function refuse (outcome: RefusalOutcome, claims?: RefreshClaims, status: 400 | 500 = 400): RefreshRefused {
    onEvent?.({ type: 'refused', outcome, ...claims && { userId: claims.id, sid: claims.sid } })
    return new RefreshRefused(outcome, claims, status)
  }

  /** The legacy token of an imported session is its generation 0. @throws RefreshRefused unless it is one. */
  async function legacyClaims (refreshToken: string): Promise<RefreshClaims> {
    if (!legacyTokens || hasOwnForm(refreshToken)) throw refuse('forged')
    const tokenHash = hashLegacyToken(refreshToken)
    const id = await admit(concurrencyLimit, async () => await store.findImported(tokenHash))
    if (id === undefined) throw refuse('forged')
    return { sub: 'Refresh', iss: '', id, sid: importedSessionId(tokenHash), gen: 0, iat: 0, exp: 0 }
  }

  function thumbprintOf (proofOf: ProofOf, request: FastifyRequest | undefined, claims: RefreshClaims): string | undefined {
    try {
      return proofOf(request)
    } catch (err) {
      throw err instanceof InvalidProof ? refuse('invalid_proof', claims) : err
    }
  }

  return {
    store,
    tokens,
    jwks,
    limits,
    tokensOf,

    async refresh ({ deviceId, refreshToken, idempotencyKey, clientId, shared }, request) {
      const claims = tokens.verifyRefresh(refreshToken) ?? await legacyClaims(refreshToken)
      // Only after verification, so that made-up tokens can't use up another client's limit.
      if (limitSession !== undefined && request !== undefined) await limitSession(request, nameOfSession(claims.sid, deviceId))
      const jkt = proofOf === undefined ? undefined : thumbprintOf(proofOf, request, claims)

      concurrencyLimit.acquire()
      let rotation
      try {
        const credentials = { idempotencyKey, clientId, jkt, shared }
        rotation = await (claims.gen === 0 ? store.trade(claims, deviceId, credentials) : store.rotate(claims, deviceId, credentials))
      } finally {
        concurrencyLimit.release()
      }
      if (!('session' in rotation)) throw refuse(rotation.outcome, claims, rotation.unconfirmed === true ? 500 : 400)

      const { outcome } = rotation
      const session = claimsOf === undefined ? rotation.session : await withClaims(rotation.session, claimsOf)
      const body = sessionTokens(tokens, session)
      count('refreshes', outcome)
      onEvent?.({ type: 'refreshed', outcome, userId: claims.id, sid: claims.sid })
      const level = outcome === 'recovered' ? 'warn' : 'debug'
      ;(request?.log ?? log)[level]({ outcome, userId: claims.id, sid: claims.sid }, 'refreshed')
      return { session, body }
    },

    async logOut ({ deviceId, refreshToken, clientId }, request) {
      const claims = tokens.verifyRefresh(refreshToken) ?? await legacyClaims(refreshToken)
      // Refreshes use the same counter, so a thief gets no second one. Another device id has another counter.
      if (limitSession !== undefined) await limitSession(request, nameOfSession(claims.sid, deviceId))

      const outcome = await admit(concurrencyLimit, async () => await store.logOut(claims, deviceId, clientId))
      if (outcome === 'device_mismatch' || outcome === 'client_mismatch') throw refuse(outcome, claims)

      count('logouts', outcome)
      request.log.debug({ outcome, userId: claims.id, sid: claims.sid }, 'logged out')
    }
  }
}

/** @throws TypeError that names the mistake in the claims that the function returned. */
async function withClaims (session: LiveSession, claimsOf: ClaimsOf): Promise<LiveSession> {
  const { generation: { id, sid }, profile, claims = {} } = session
  const more = await claimsOf({ id, sid, ...profile, claims })
  if (more === undefined) return session
  if (typeof more !== 'object' || more === null || Array.isArray(more)) throw new TypeError('claims must return an object or undefined')
  const mistake = claimsMistake(more)
  if (mistake !== undefined) throw new TypeError(`the object that claims returns ${mistake}`)
  return { ...session, claims: { ...claims, ...more } }
}

/** An event of a session, without tokens. Only the app that caused the event reports it, once. */
export type SessionEvent =
  | { type: 'opened', userId: UserId, sid: string }
  /** `retried` repeats a lost answer. `recovered`: Redis had lost writes. */
  | { type: 'refreshed', outcome: 'rotated' | 'retried' | 'recovered', userId: UserId, sid: string }
  /** `reuse`: a copied token came back. `expired` is reported when the session is removed, not at its expiry. */
  | { type: 'ended', reason: EndReason, userId: UserId, sid: string }
  /** A refused refresh or log-out, with the user and the session if the token is authentic. */
  | { type: 'refused', outcome: RefusalOutcome, userId?: UserId, sid?: string }

export type OnEvent = (event: SessionEvent) => void
