/**
 * Why there is no access token.
 * - `logged-out`: there is no session, or the service has ended it. The user has to log in.
 * - `unavailable`: the service gave no clear answer. The session stays as it is, except after a log-out, and the same call may succeed
 *   later.
 */
export type SessionErrorCode = 'logged-out' | 'unavailable'

/** The error of every method of a session. Its message never holds a token. */
export class SessionError extends Error {
  override readonly name = 'SessionError'
  readonly code: SessionErrorCode

  constructor (code: SessionErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

export const loggedOut = (): SessionError => new SessionError('logged-out', 'The user is logged out')

export const unavailable = (): SessionError => new SessionError('unavailable', 'The service gave no clear answer')
