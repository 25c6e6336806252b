/**
 * Why a token is not accepted.
 * - `malformed`: not an access token of ours. Forged, of another issuer or key, a refresh token, or no token at all.
 * - `expired`: it was ours, and its time is over. Its holder should refresh.
 * - `revoked`: its session has ended, whatever the token says. Its holder has to log in again.
 * - `unavailable`: Redis or the key set can't be asked now, so nothing is known. Its holder should try again.
 */
export type SessionValidationCode = 'malformed' | 'expired' | 'revoked' | 'unavailable'

/** What `validate` rejects with. The message is for logs: it never holds a token or a part of one. */
export class SessionValidationError extends Error {
  override readonly name = 'SessionValidationError'
  readonly code: SessionValidationCode

  constructor (code: SessionValidationCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
