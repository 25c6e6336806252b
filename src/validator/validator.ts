import type { RedisClient } from '#src/redis/client'
import { eventsChannel } from '#src/redis/keys'
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
   * Verifies an access token and looks its session up, in the cache or in Redis.
   * Rejects with `SessionValidationError`; with Redis or the key set away that is `unavailable`, within about a second.
   */
  validate (accessToken: string): Promise<ValidSession>
  /**
   * Resolves once Redis has been reached and, with a cache, its events are heard; rejects with `unavailable` after about
   * a second, and may be asked again. Need not be awaited: until then calls wait, or ask Redis.
   */
  ready (): Promise<void>
  /** Ends the connections. A client that was given stays open. */
  close (): Promise<void>
}

/**
 * Makes a validator, which connects in the background and reconnects by itself.
 * @throws TypeError that names the option that is wrong.
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
