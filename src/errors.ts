import createError from '@fastify/error'

/** Public text of every status this service answers with. One table, so that no route invents its own wording. */
const messages: Record<number, string> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  404: 'Not Found',
  409: 'Conflict',
  429: 'Too Many Requests',
  500: 'Internal Error'
}

/** The one body of every error answer, on every route of both listeners. */
export interface ErrorBody {
  code: number
  message: string
}

/** Builds the body for a status of the table; `detail` is for callers we trust, never for the public listener. */
export function errorBody (status: number, detail?: string): ErrorBody {
  const message = messages[status] ?? 'Internal Error'
  return { code: status, message: detail === undefined ? message : `${message}: ${detail}` }
}

/** The caller did not present the internal API key. */
export const Unauthorized = createError('RTS_UNAUTHORIZED', 'The internal API key is missing or wrong', 401)

/** The gateway did not present the internal API key. Ours to repair, not its client's: hence no 401. */
export const GatewayRefused = createError('RTS_GATEWAY_REFUSED', 'The X-Internal-Api-Key of a gateway is missing or wrong', 500)

/** A gateway's client presented no access token that is good now. */
export const AccessRefused = createError('RTS_ACCESS_REFUSED', 'The access token is missing, forged or expired, or its session has ended', 401)

/** A body that is not UTF-8. */
export const MalformedBody = createError('RTS_MALFORMED_BODY', 'The body is not UTF-8', 400)

/** The client's connection broke before its request was whole, or before it was looked at. Nobody reads the answer. */
export const Aborted = createError('RTS_ABORTED', 'The client closed its connection', 400)

/** The user has no session. */
export const UserNotFound = createError('RTS_USER_NOT_FOUND', 'The user has no live session', 404)

/** The user has logged out everywhere since the password was checked: the log-in has to begin anew. */
export const LoggedOutSince = createError('RTS_LOGGED_OUT_SINCE', 'The user has logged out everywhere since authenticatedAt', 409)

/** `authenticatedAt` of an opening is no moment of the past; most likely it is in milliseconds. The message is for the caller. */
export const AuthenticatedAhead = createError('RTS_AUTHENTICATED_AHEAD',
  'body/authenticatedAt must be in seconds, and at most a minute ahead of Redis\'s clock', 400)

/** Redis did not do what was asked, or not in time: nothing is known about the session, so the caller keeps its token. */
export const StoreUnavailable = createError('RTS_STORE_UNAVAILABLE', 'Redis could not be used: %s', 500)

/**
 * The change is made, but too few replicas have it: were the master lost now, the change would be too. Asking again is
 * safe, and waits anew.
 */
export const NotReplicated = createError('RTS_NOT_REPLICATED', 'the change is made, but %d of %d replicas have it; ask again', 500)

/** Why a refresh was refused; only the log and the metrics learn it, the client gets the uniform 400. */
export type RefusalOutcome = 'malformed' | 'forged' | 'unknown' | 'device_mismatch' | 'expired' | 'reused'

/**
 * A refresh that is the caller's fault. Carries what the log line says; never a token.
 * One public answer for all of them (RFC 9700 section 4.14 asks for refusal, not for an explanation), but a 500 for a
 * session that ended by reuse and might come back: its client keeps the token, which would end the session again.
 */
export class RefreshRefused extends Error {
  readonly statusCode: 400 | 500
  readonly outcome: RefusalOutcome
  readonly userId: number | undefined
  readonly sid: string | undefined

  constructor (outcome: RefusalOutcome, session?: { id: number, sid: string }, statusCode: 400 | 500 = 400) {
    super(`refresh refused: ${outcome}`)
    this.name = 'RefreshRefused'
    this.statusCode = statusCode
    this.outcome = outcome
    this.userId = session?.id
    this.sid = session?.sid
  }
}

/**
 * What was exhausted when a request was turned away: the event loop, the room for requests that wait for Redis, the
 * connections of the listener, or the rate of an address or of a session.
 */
export type TurnAwayReason = 'event_loop' | 'in_flight' | 'connections' | 'address' | 'session'

/**
 * A request that was sent away before anything was done for it. Overload is ours, so its answer is the 500 that tells
 * the client to keep its token; a rate is the caller's (RFC 6585 section 4).
 */
export class TurnedAway extends Error {
  readonly outcome: 'overloaded' | 'limited'
  readonly statusCode: 429 | 500
  readonly reason: TurnAwayReason
  /** Seconds, for `Retry-After` (RFC 9110 section 10.2.3). */
  readonly retryAfter: number

  constructor (reason: TurnAwayReason, retryAfter = 1) {
    super(`turned away: ${reason}`)
    this.name = 'TurnedAway'
    const isLimit = reason === 'address' || reason === 'session'
    this.outcome = isLimit ? 'limited' : 'overloaded'
    this.statusCode = isLimit ? 429 : 500
    this.reason = reason
    this.retryAfter = retryAfter
  }
}

/** Ends the start: its message is a whole sentence for the person who starts the process, free of secrets. */
export class StartError extends Error {
  override name = 'StartError'
}
