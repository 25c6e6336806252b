import { eventsChannel } from '../../../src/redis/records.ts'
import { checkBinding } from '../../../src/dpop/binding.ts'
import { InvalidProof, type PresentedProof } from '../../../src/dpop/proof.ts'
import { createProofCheck } from '../../../src/dpop/replay.ts'
import { createSessionCache } from './cache.ts'
import { connect } from './connection.ts'
import { orUnavailable, SessionValidationError } from './errors.ts'
import { readOptions, type SessionValidatorOptions } from './options.ts'
import { createReadRecord, lookUp, type ValidSession } from './session.ts'
import { createSubscriber, subscribe } from './subscription.ts'
import { createVerify } from './verify.ts'

export { SessionValidationError, type SessionValidationCode } from './errors.ts'
export type { SessionCacheOptions, SessionValidatorOptions } from './options.ts'
export type { ValidSession } from './session.ts'
export type { PresentedProof } from '../../../src/dpop/proof.ts'
export type { Claims } from '../../../src/tokens/custom-claims.ts'
export type { UserId } from '../../../src/tokens/user-id.ts'

export interface SessionValidator {
  /**
   * Verifies an access token and looks up its session, in the cache or in Redis. With `Authorization: DPoP`, `request` has the
   * `DPoP` header of the request, its method and its URL: then only a token that is bound to the proved key is valid. Without, a bound
   * token is `unproved`.
   * Rejects with `SessionValidationError`: `unavailable`, within about a second, when Redis or the key set can't be reached.
   */
  validate (accessToken: string, request?: PresentedProof): Promise<ValidSession>
  /**
   * Resolves once Redis is connected and, with a cache, subscribed to events. Rejects with `unavailable` after about a
   * second, and may be called again. Awaiting it is optional: until then `validate` waits, or reads from Redis.
   */
  ready (): Promise<void>
  /** Ends the connections. The caller's own client stays open. */
  close (): Promise<void>
}

/**
 * Creates a validator, which connects in the background and reconnects by itself.
 * @throws TypeError that names the wrong option.
 */
export function createSessionValidator (options: SessionValidatorOptions): SessionValidator {
  const settings = readOptions(options)
  const { prefix } = settings
  const verify = createVerify(settings.keys, settings.issuer, settings.audience)
  const { redis, connected, disconnect } = connect(settings)
  const read = createReadRecord(redis)
  const cache = settings.cache && createSessionCache(settings.cache)
  const subscription = cache && subscribe(() => createSubscriber(redis), eventsChannel(prefix), cache)

  const checkProof = createProofCheck()

  async function find (token: string): Promise<ValidSession> {
    const cached = typeof token === 'string' ? cache?.get(token) : undefined
    if (cached !== undefined) return cached
    const claims = await verify(token)
    await connected()
    const store = cache?.startLookup(claims.id)
    const session = await lookUp(read, prefix, claims)
    store?.(token, session)
    return session
  }

  return {
    async validate (token, request) {
      const session = await find(token)
      try {
        checkBinding(checkProof, token, session.jkt, request)
      } catch (err) {
        if (!(err instanceof InvalidProof)) throw err
        throw new SessionValidationError(session.jkt === undefined ? 'malformed' : 'unproved', `the access token is refused: ${err.message}`)
      }
      return session
    },
    async ready () {
      await connected()
      if (subscription !== undefined) await orUnavailable(subscription.subscribed, () => 'no subscription')
    },
    async close () {
      await Promise.all([subscription?.unsubscribe(), disconnect()])
    }
  }
}
