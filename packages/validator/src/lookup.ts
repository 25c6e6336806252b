import { SILENCE_TIMEOUT } from '../../../src/redis/options.ts'
import { withoutArguments } from '../../../src/log/redact.ts'
import { userKey } from '../../../src/redis/keys.ts'
import { withTimeout } from '../../../src/timeout.ts'
import { expiryOf } from '../../../src/sessions/record.ts'
import type { AccessClaims } from '../../../src/tokens/claims.ts'
import { SessionValidationError } from './errors.ts'
import type { ReadRecord } from './records.ts'
import type { ValidSession } from './session.ts'

/**
 * Looks up the session of a verified token with one HMGET. Compares the session's expiry with this machine's clock, like
 * the token's: this is off by the difference of the clocks, but needs no second command. Redis expires the whole record by
 * its own clock.
 * @throws SessionValidationError `revoked`, or `unavailable` within `SILENCE_TIMEOUT`.
 */
export async function lookUp (read: ReadRecord, prefix: string, { id, sid, exp }: AccessClaims): Promise<ValidSession> {
  const [value, email, role] = await answerOf(read(userKey(prefix, id), `s:${sid}`, 'email', 'role'))
  if (value == null) throw new SessionValidationError('revoked', 'the session has ended')
  const expiry = expiryOf(value)
  if (expiry === undefined || email == null || role == null) {
    throw new SessionValidationError('unavailable', `the record of user ${id} is damaged`)
  }
  if (expiry * 1000 <= Date.now()) throw new SessionValidationError('revoked', 'the session has expired')
  return Object.freeze({ id, sid, email, role, expiresAt: Math.min(exp, expiry) })
}

/**
 * Waits for Redis's answer, up to `SILENCE_TIMEOUT`. `reason` explains a time-out. The original error is not passed on as
 * the cause, because ioredis's errors hold the command.
 */
export async function answerOf<T> (promise: Promise<T>, reason = () => 'no answer'): Promise<T> {
  try {
    return await withTimeout(promise, SILENCE_TIMEOUT, () => { throw new Error(`${reason()} within ${SILENCE_TIMEOUT} ms`) })
  } catch (err) {
    throw new SessionValidationError('unavailable', `Redis could not be used: ${withoutArguments((err as Error).message)}`)
  }
}
