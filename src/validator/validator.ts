import type { Redis } from 'ioredis'
import { eventsChannel } from '../sessions/record.ts'
import { createSessionCache, type SessionCache } from './cache.ts'
import { follow } from './events.ts'
import { answerOf, connectReader, connectSubscriber, hangUp, lookUp } from './lookup.ts'
import { readOptions, type SessionValidatorOptions } from './options.ts'
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
  const { redis, connected, disconnect } = reach(settings.redis)
  const { cache, heard, leave } = listen(redis, prefix, settings.cache)

  return {
    async validate (token) {
      const known = typeof token === 'string' ? cache?.get(token) : undefined
      if (known !== undefined) return known
      const claims = await verify(token)
      await connected()
      const remember = cache?.lookingUp(claims.id)
      const session = await lookUp(redis, prefix, claims)
      remember?.(token, session)
      return session
    },
    async ready () {
      await connected()
      if (heard !== undefined) await answerOf(heard, () => 'no subscription')
    },
    async close () {
      await Promise.all([leave(), disconnect()])
    }
  }
}

interface Reader {
  redis: Redis
  /** Waits for the first connection. After it, what can't be asked at once is `unavailable`. */
  connected (): Promise<void>
  disconnect (): Promise<void>
}

function reach (place: Redis | string): Reader {
  if (typeof place !== 'string') return { redis: place, connected: async () => {}, disconnect: async () => {} }
  const redis = connectReader(place)
  let reason = 'no connection'
  redis.on('error', err => { reason = err.message })
  const first = new Promise<void>(resolve => { redis.once('ready', resolve) })
  return {
    redis,
    connected: async () => { await answerOf(first, () => reason) },
    disconnect: async () => await hangUp(redis)
  }
}

interface Ears {
  cache?: SessionCache
  /** The first subscription. */
  heard?: Promise<void>
  leave (): Promise<void>
}

function listen (redis: Redis, prefix: string, options: { max: number, maxStaleness: number } | undefined): Ears {
  if (options === undefined) return { leave: async () => {} }
  const cache = createSessionCache(options)
  const subscriber = connectSubscriber(redis)
  return {
    cache,
    heard: follow(subscriber, eventsChannel(prefix), cache),
    leave: async () => {
      cache.pause()
      await hangUp(subscriber)
    }
  }
}
