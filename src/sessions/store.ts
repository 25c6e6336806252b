import type { Redis } from 'ioredis'
import { StoreUnavailable } from '../errors.ts'
import { withoutArguments } from '../redis/message.ts'
import type { Generation } from '../tokens/claims.ts'
import { createRedisClock } from './clock.ts'
import {
  toFound, toRotation, toSummaries,
  type FoundSession, type LiveSession, type Profile, type Reply, type Rotation, type SessionSummary
} from './outcomes.ts'
import { eventsChannel, hashDevice, newSessionId, userKey } from './record.ts'
import { defineScripts, type ScriptName } from './scripts.ts'

export interface SessionStoreOptions {
  prefix: string
  /** Seconds a session lives without a refresh. */
  idleTtl: number
  /** Seconds a session lives at the most. */
  absoluteTtl: number
  /** Seconds in which the previous token is answered with the current one again; 0 turns it off. */
  retryWindow: number
  maxSessionsPerUser: number
}

export interface NewSession extends Profile {
  userId: number
  deviceId: string
  label?: string
}

/**
 * Every method rejects with `StoreUnavailable` within `TIMEOUT` when Redis does not do its part. Then nothing happens
 * later; but when only the answer was lost, what was asked has happened.
 */
export interface SessionStore {
  /** Opens a session, generation 1. Replaces the device's older one; evicts the least recently used over the cap. */
  open (session: NewSession): Promise<LiveSession>
  /** Decides the refresh of an authentic token. One round trip. */
  rotate (token: Pick<Generation, 'id' | 'sid' | 'gen' | 'exp'>, deviceId: string): Promise<Rotation>
  /** Ends one session, if there is such a one. */
  revoke (userId: number, sid: string): Promise<void>
  /** Ends every session of a user. */
  revokeAll (userId: number): Promise<void>
  /** The live sessions of a user, the last used first. */
  list (userId: number): Promise<SessionSummary[]>
  /** One live session as it stands, `undefined` when there is no such one. Writes nothing: works on a full or read-only Redis too. */
  find (userId: number, sid: string): Promise<FoundSession | undefined>
  /** Changes the profile; false when the user has no session. */
  updateProfile (userId: number, profile: Partial<Profile>): Promise<boolean>
  /** Resolves when this Redis would run a refresh now. */
  probe (): Promise<void>
}

/** Milliseconds Redis has for a call. The public endpoint promises its 500 within a second. */
export const TIMEOUT = 700

/** `clock` is the store's own unless a test brings one that is wrong. */
export function createSessionStore (redis: Redis, options: SessionStoreOptions, clock = createRedisClock()): SessionStore {
  const { prefix, idleTtl, absoluteTtl, retryWindow, maxSessionsPerUser } = options
  const scripts = defineScripts(redis)
  const channel = eventsChannel(prefix)

  // Another connection may lead to another server. Read ahead, so that the first request needs one round trip too.
  const readClock = async (): Promise<void> => {
    const [seconds, microseconds] = await redis.time()
    clock.observe(Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000))
  }
  redis.on('close', () => clock.reset())
  redis.on('ready', () => { readClock().catch(() => {}) })

  /**
   * Runs a script on a user's record, dated so that it can't take effect after the caller was told 500: a frozen
   * server or a stalled socket may deliver a command long after. A `late` reply that still arrives in time means that
   * our estimate of Redis's clock was off (it was set); that reply has corrected it, so it is tried once more.
   */
  async function run (name: ScriptName, userId: number, ...args: Array<string | number>): Promise<Reply> {
    const key = userKey(prefix, userId)
    const givenUpAt = performance.now() + TIMEOUT
    const attempt = async (): Promise<Reply> => {
      if (clock.deadline(givenUpAt) === undefined) await readClock()
      const reply = await scripts[name](key, channel, userId, clock.deadline(givenUpAt)!, ...args) as Reply
      clock.observe(reply[1])
      if (reply[0] === 'late') throw new LateError()
      return reply
    }
    return await within(TIMEOUT, attempt().catch(async err => {
      if (err instanceof LateError) return await attempt()
      throw err
    }))
  }

  return {
    async open ({ userId, deviceId, label = '', email, role }) {
      const sid = newSessionId()
      const [, nowMs, gen, iat, exp] = await run('open', userId,
        sid, hashDevice(deviceId), label, email, role, idleTtl, absoluteTtl, maxSessionsPerUser
      ) as [string, number, number, number, number]
      return { generation: { id: userId, sid, gen, iat, exp }, profile: { email, role }, now: Math.floor(nowMs / 1000) }
    },

    async rotate ({ id, sid, gen, exp }, deviceId) {
      const reply = await run('rotate', id, sid, gen, exp, hashDevice(deviceId), idleTtl, absoluteTtl, retryWindow)
      return toRotation(reply, id, sid)
    },

    async revoke (userId, sid) {
      await run('revoke', userId, sid)
    },

    async revokeAll (userId) {
      await run('revoke-all', userId)
    },

    async list (userId) {
      const sessions = toSummaries(await run('list', userId))
      return sessions.sort((a, b) => b.rotatedAt - a.rotatedAt)
    },

    async find (userId, sid) {
      return toFound(await run('find', userId, sid))
    },

    async updateProfile (userId, { email = '', role = '' }) {
      const [word] = await run('update-profile', userId, email, role)
      return word === 'updated'
    },

    async probe () {
      const [, nowMs] = await within(TIMEOUT, scripts.probe()) as Reply
      clock.observe(nowMs)
    }
  }
}

class LateError extends Error {
  override message = 'the command arrived too late to count'
}

/** Settles as the promise does, or rejects after `ms`; every rejection becomes `StoreUnavailable`. */
async function within<T> (ms: number, promise: Promise<T>): Promise<T> {
  let timer
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([promise, timeout])
  } catch (err) {
    throw new StoreUnavailable(withoutArguments((err as Error).message))
  } finally {
    clearTimeout(timer)
  }
}
