import createError from '@fastify/error'

/** Public text of each status. A single table keeps routes from inventing their own wording. */
const messages = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  409: 'Conflict',
  429: 'Too Many Requests',
  500: 'Internal Error'
}

export type ErrorStatus = keyof typeof messages

/** Body of every error answer, on every route of both listeners. */
export interface ErrorBody {
  code: number
  message: string
}

/** Builds the body for a status of the table. Pass `detail` only to trusted callers, never on the public listener. */
export function errorBody (status: ErrorStatus, detail?: string): ErrorBody {
  const message = messages[status]
  return { code: status, message: detail === undefined ? message : `${message}: ${detail}` }
}

/** A session with a key could not be refreshed. The caller sees this message. */
export const ProofsOff = createError('RTS_PROOFS_OFF', 'body/jkt must be left out while DPOP is off', 400)

/** No valid API key or log-in is given. */
export const Unauthorized = createError('RTS_UNAUTHORIZED', 'The internal API key is missing or wrong', 401)

/** The caller's API key lacks the scope of the call. The caller sees this message. */
export const Forbidden = createError('RTS_FORBIDDEN', 'the API key of %s lacks the scope %s', 403)

/** The gateway did not present an API key with the scope. Operators must repair this, not the gateway's client, so it is no 401 or 403. */
export const GatewayRefused = createError('RTS_GATEWAY_REFUSED', 'The X-Internal-Api-Key of a gateway %s', 500)

/** A page of another site caused a request that relies on a cookie. */
export const CrossSite = createError('RTS_CROSS_SITE', 'The request comes from a page of another site', 403)

/** A gateway's client presented no valid access token. */
export const AccessRefused = createError('RTS_ACCESS_REFUSED', 'The access token is missing, forged or expired, or its session has ended', 401)

/** A body that is not UTF-8, or a form with broken escapes. */
export const MalformedBody = createError('RTS_MALFORMED_BODY', 'The body is not UTF-8, or no form', 400)

/** An OAuth client asked for another grant than a refresh (RFC 6749 section 5.2). */
export const UnsupportedGrantType = createError('RTS_UNSUPPORTED_GRANT_TYPE', 'The grant type is not refresh_token', 400)

/** The client's connection broke before its request was complete, or before it was processed. Nobody reads the answer. */
export const Aborted = createError('RTS_ABORTED', 'The client closed its connection', 400)

/** Nothing is stored about the user, or no session for a call that needs one. */
export const UserNotFound = createError('RTS_USER_NOT_FOUND', 'The user has no live session', 404)

/** The user has logged out everywhere since the password was checked, so the log-in must start again. */
export const LoggedOutSince = createError('RTS_LOGGED_OUT_SINCE', 'The user has logged out everywhere since authenticatedAt', 409)

/** `authenticatedAt` of a new session lies in the future; most likely it is in milliseconds. The caller sees this message. */
export const AuthenticatedAhead = createError('RTS_AUTHENTICATED_AHEAD',
  'body/authenticatedAt must be in seconds, and at most a minute ahead of Redis\'s clock', 400)

/** Redis failed or did not answer in time. The state of the session is unknown, so the caller keeps its token. */
export const StoreUnavailable = createError('RTS_STORE_UNAVAILABLE', 'Redis could not be used: %s', 500)

/**
 * The change is made, but too few replicas have it: if the master fails now, the change is lost. Repeating the request is
 * safe, and waits for the replicas again.
 */
export const NotReplicated = createError('RTS_NOT_REPLICATED', 'the change is made, but %d of %d replicas have it; ask again', 500)

/** Why a refresh or a log-out was refused. The log and the metrics record the reason; a client gets at most an OAuth code. */
export type RefusalOutcome =
  | 'malformed' | 'invalid_client' | 'forged' | 'invalid_proof' | 'unknown' | 'device_mismatch' | 'client_mismatch' | 'key_mismatch'
  | 'expired' | 'reused'

/**
 * A refresh or a log-out refused through the caller's fault. Holds the fields of the log line, never a token.
 * Except on OAuth routes and cookie log-outs, every refusal gets the same 400 (RFC 9700 section 4.14). The status is 500
 * if reuse ended the session but a failover might revive it: the client keeps its token, and a retry ends the session again.
 */
export class RefreshRefused extends Error {
  readonly statusCode: 400 | 500
  readonly outcome: RefusalOutcome
  readonly userId: number | string | undefined
  readonly sid: string | undefined

  constructor (outcome: RefusalOutcome, session?: { id: number | string, sid: string }, statusCode: 400 | 500 = 400) {
    super(`refresh refused: ${outcome}`)
    this.name = 'RefreshRefused'
    this.statusCode = statusCode
    this.outcome = outcome
    this.userId = session?.id
    this.sid = session?.sid
  }
}

/**
 * The exhausted resource when a request was turned away: the event loop, the concurrency limit of requests that wait for
 * Redis, the connections of the listener, or the rate of an address or of a session.
 */
export type TurnAwayReason = 'event_loop' | 'in_flight' | 'connections' | 'address' | 'session'

/**
 * A request that was turned away before it changed a session. Overload is the service's fault: the answer is a 500,
 * and the client keeps its token. Too high a rate is the caller's fault: the answer is a 429 (RFC 6585 section 4).
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

/** Aborts the start. Its message is a whole sentence for the person who starts the process, and contains no secrets. */
export class StartError extends Error {
  override name = 'StartError'
}
