import createError from '@fastify/error'
import type { FastifyReply } from 'fastify'
import type { SecretConfig } from '#src/config/environment'
import type { Core } from '#src/core/core'
import { toSetCookie } from '#src/cookies/refresh-cookie'
import { checkBinding } from '#src/dpop/binding'
import { InvalidProof, type PresentedProof } from '#src/dpop/proof'
import { createProofCheck } from '#src/dpop/replay'
import { AccessRefused, RefreshRefused } from '#src/errors'
import { activeAccess } from '#src/introspection/introspection'
import { SessionId } from '#src/schemas/fields'
import { RefreshRequest } from '#src/schemas/refresh'
import { openSessionRequest, ProfilePatch } from '#src/schemas/sessions'
import { compileSchema } from '#src/schemas/validation'
import type { NewSession, ProfileChange } from '#src/sessions/commands'
import { toListed, type ListedSession } from '#src/sessions/listed'
import type { TokensOfSession } from '#src/sessions/session-tokens'
import type { AccessClaims } from '#src/tokens/claims'
import type { Claims } from '#src/tokens/custom-claims'
import { isUserId, type UserId } from '#src/tokens/user-id'

/** The live session of an access token. */
export interface VerifiedSession {
  id: UserId
  sid: string
  email: string
  role: string
  /** The stored claims of the user and the session. */
  claims: Claims
  /** When the access token expires, Unix seconds. */
  expiresAt: number
  /** The claims of the access token itself, with those of the option `claims`. */
  payload: AccessClaims & Claims
}

/**
 * The sessions of users. A call usually makes one round trip to Redis. It rejects with an error that has a `statusCode`: 400 for wrong
 * arguments; 500, within a second, when Redis can't be used.
 */
export interface Sessions {
  /** Opens a session for an identified user. Rejects with 409 if the user has logged out everywhere since `authenticatedAt`. */
  open (session: NewSession): Promise<TokensOfSession>
  /**
   * Opens a session for a browser: sets the cookie in the answer, and resolves without the refresh token. Rejects as `open` does, and with
   * 500 unless the option `cookieSessions` is `on`.
   */
  openWithCookie (session: Omit<NewSession, 'clientId'>, reply: FastifyReply): Promise<Omit<TokensOfSession, 'refreshToken'>>
  /**
   * Exchanges a refresh token. Rejects with 400 unless it can be used now; `outcome` has the reason, for the log. It proves no key:
   * it refreshes no session that is bound to one and, with `dpop: 'required'`, none at all.
   */
  refresh (presented: { deviceId: string, refreshToken: string, idempotencyKey?: string | undefined }): Promise<TokensOfSession>
  /**
   * Rejects with 401 unless the access token is authentic and not expired, and its session lives. Pass `request` only for the scheme
   * DPoP: a token that is bound to a key is refused without it, any other token with it.
   */
  verify (accessToken: string, request?: PresentedProof): Promise<VerifiedSession>
  /** The live sessions of a user, the last used first. */
  list (userId: UserId): Promise<ListedSession[]>
  /** Ends one session. Resolves to whether it was live. */
  revoke (userId: UserId, sid: string): Promise<boolean>
  /** Ends every session of a user but `except`. Resolves to the ids of the sessions that it ended. */
  revokeAll (userId: UserId, options?: { except?: string | undefined }): Promise<string[]>
  /** Changes the profile or the claims of a user for the next refresh. Resolves to whether the user has a session. */
  update (userId: UserId, change: ProfileChange): Promise<boolean>
}

const CookiesAreOff = createError('RTS_COOKIES_ARE_OFF', 'openWithCookie needs the option cookieSessions: \'on\'', 500)

const InvalidArgument = createError('RTS_INVALID_ARGUMENT', '%s', 400, TypeError)

/** The decorator of the plugin. */
export function createSessions (core: Core, config: SecretConfig): Sessions {
  const { store, tokens, tokensOf } = core
  const checkProof = createProofCheck()

  function check (schema: object, method: string): (value: unknown) => void {
    const validate = compileSchema(schema)
    return value => {
      if (validate(value)) return
      const { instancePath, message } = validate.errors![0]!
      throw new InvalidArgument(`${method}: ${instancePath.slice(1) || 'the argument'} ${message}`)
    }
  }

  const checkRequest = check(openSessionRequest(config), 'open')
  const checkUpdate = check(ProfilePatch, 'update')
  const checkSid = check(SessionId, 'sid')
  const isPresented = compileSchema(RefreshRequest)

  function checkOpen (session: NewSession): void {
    checkRequest(session)
    if (session.jkt !== undefined && config.DPOP === 'off') throw new InvalidArgument('open: jkt must be left out while dpop is off')
  }

  function checkUser (userId: unknown): void {
    if (!isUserId(userId)) throw new InvalidArgument('userId must be a positive integer, or a text that is not digits alone')
  }

  return {
    async open (session) {
      checkOpen(session)
      return await tokensOf(await store.open(session))
    },

    async openWithCookie (session, reply) {
      if (config.COOKIE_SESSIONS !== 'on') throw new CookiesAreOff()
      checkOpen(session)
      if ((session as NewSession).clientId !== undefined) throw new InvalidArgument('openWithCookie: a session with a clientId is refreshed over OAuth only')
      const opened = await store.open(session)
      const { refreshToken, ...tokens } = await tokensOf(opened)
      reply.header('set-cookie', toSetCookie(config, opened, refreshToken, session.deviceId))
      return tokens
    },

    async refresh (presented) {
      if (!isPresented(presented)) throw new RefreshRefused('malformed')
      return (await core.refresh(presented)).body
    },

    async verify (accessToken, request) {
      const active = typeof accessToken === 'string' ? await activeAccess({ tokens, store }, accessToken) : undefined
      if (active === undefined) throw new AccessRefused()
      const { claims: payload, session: { email, role, claims }, expiresAt } = active
      try {
        checkBinding(checkProof, accessToken, payload.cnf?.jkt, request)
      } catch (err) {
        throw err instanceof InvalidProof ? new AccessRefused() : err
      }
      return { id: payload.id, sid: payload.sid, email, role, claims, expiresAt, payload: payload as VerifiedSession['payload'] }
    },

    async list (userId) {
      checkUser(userId)
      return (await store.list(userId)).map(toListed)
    },

    async revoke (userId, sid) {
      checkUser(userId)
      checkSid(sid)
      return await store.revoke(userId, sid)
    },

    async revokeAll (userId, { except } = {}) {
      checkUser(userId)
      if (except !== undefined) checkSid(except)
      return await store.revokeAll(userId, except)
    },

    async update (userId, change) {
      checkUser(userId)
      checkUpdate(change)
      return await store.updateProfile(userId, change)
    }
  }
}
