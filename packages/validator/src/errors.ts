/**
 * Why a token is not accepted.
 * - `malformed`: not an access token of the service: forged, of another issuer or key, a refresh token, or no token at all.
 * - `expired`: an authentic token past its `exp`. The client should refresh.
 * - `revoked`: the session has ended, even if the token has not expired. The user has to log in again.
 * - `unavailable`: Redis or the key set can't be reached, so the token can't be validated now. The client should try again.
 */
export type SessionValidationCode = 'malformed' | 'expired' | 'revoked' | 'unavailable'

/** The error that `validate` rejects with. Its message is for logs: it never holds a token or a part of one. */
export class SessionValidationError extends Error {
  override readonly name = 'SessionValidationError'
  readonly code: SessionValidationCode

  constructor (code: SessionValidationCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
