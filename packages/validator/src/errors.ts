import { withoutArguments } from '../../../src/log/redact.ts'
import { SILENCE_TIMEOUT } from '../../../src/redis/client.ts'
import { withTimeout } from '../../../src/timeout.ts'

/**
 * Why a token is not accepted.
 * - `malformed`: not a valid access token: forged, of another issuer, key or audience, a refresh token, no token at all, or an unbound
 *   token that comes with a proof.
 * - `expired`: an authentic token past its `exp`. The client should refresh.
 * - `revoked`: the session has ended, even if the token has not expired. The user has to log in again.
 * - `unproved`: the token is bound to a key, and the request does not prove it (RFC 9449).
 * - `unavailable`: Redis or the key set can't be reached, or the record is damaged, so the token can't be validated now. The client
 *   should try again.
 */
export type SessionValidationCode = 'malformed' | 'expired' | 'revoked' | 'unproved' | 'unavailable'

/** The error that `validate` rejects with. Its message is for logs: it never holds a token or a part of one. */
export class SessionValidationError extends Error {
  override readonly name = 'SessionValidationError'
  readonly code: SessionValidationCode

  constructor (code: SessionValidationCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/**
 * Waits for Redis, up to `SILENCE_TIMEOUT`. `reason` explains a time-out. The original error is not passed on as the cause,
 * because ioredis's errors hold the command.
 * @throws SessionValidationError `unavailable`
 */
export async function orUnavailable<T> (promise: Promise<T>, reason = () => 'no answer'): Promise<T> {
  try {
    return await withTimeout(promise, SILENCE_TIMEOUT, () => { throw new Error(`after ${SILENCE_TIMEOUT} ms: ${reason()}`) })
  } catch (err) {
    throw new SessionValidationError('unavailable', `Redis could not be used: ${withoutArguments((err as Error).message)}`)
  }
}
