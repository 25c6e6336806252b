import type { RedisClient } from '../../../src/redis/client.ts'
import { eventsChannel } from '../../../src/redis/keys.ts'
import { createSessionCache } from './cache.ts'
import { connectReader, createSubscriber, hangUp, useReader } from './connections.ts'
import { follow } from './events.ts'
import { answerOf, lookUp } from './lookup.ts'
import { readOptions, type SessionValidatorOptions, type Settings } from './options.ts'
import { createReadRecord } from './records.ts'
import type { ValidSession } from './session.ts'
import { createVerify } from './verify.ts'

export interface SessionValidator {
  /**
   * Verifies an access token and looks up its session, in the cache or in Redis.
   * Rejects with `SessionValidationError`: `unavailable`, within about a second, when Redis or the key set can't be reached.
   */
  validate (accessToken: string): Promise<ValidSession>
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
  const verify = createVerify(settings.keys, settings.issuer)
  const { redis, connected, disconnect } = reach(settings)
  const read = createReadRecord(redis)
  const cache = settings.cache && createSessionCache(settings.cache)
  const ears = cache && follow(() => createSubscriber(redis), eventsChannel(prefix), cache)

  return {
    async validate (token) {
      const known = typeof token === 'string' ? cache?.get(token) : undefined
      if (known !== undefined) return known
      const claims = await verify(token)
      await connected()
      const remember = cache?.lookingUp(claims.id)
      const session = await lookUp(read, prefix, claims)
      remember?.(token, session)
      return session
    },
    async ready () {
      await connected()
      if (ears !== undefined) await answerOf(ears.heard, () => 'no subscription')
    },
    async close () {
      await Promise.all([ears?.stop(), disconnect()])
    }
  }
}

interface Reach {
  redis: RedisClient
  /** Waits for the first connection. @throws SessionValidationError `unavailable` */
  connected (): Promise<void>
  disconnect (): Promise<void>
}

function reach ({ redis: place, ...options }: Settings): Reach {
  const given = typeof place !== 'string'
  const { redis, ready, reason } = given ? useReader(place) : connectReader(place, options)
  return {
    redis,
    connected: async () => { await answerOf(ready, reason) },
    disconnect: async () => { if (!given) await hangUp(redis) }
  }
}
