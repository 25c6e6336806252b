import type { RedisClient } from '#src/redis/client'
import type { Generation } from '#src/tokens/claims'
import type { RedisClock } from './clock.ts'
import {
  toFound, toOpened, toRotation, toSummaries,
  type FoundSession, type LiveSession, type Profile, type Rotation, type SessionSummary
} from './outcomes.ts'
import { hashDevice, newSessionId } from './record.ts'
import { defineReplicatedScripts } from './replicated.ts'
import { createConfirm, type Confirm } from './reuse.ts'
import { createRunner, TIMEOUT, type Runner, type ScriptObserver } from './runner.ts'
import { createServers } from './servers.ts'

export interface SessionStoreOptions {
  prefix: string
  /** Seconds a session lives without a refresh. */
  idleTtl: number
  /** Seconds a session lives at the most. */
  absoluteTtl: number
  /** Seconds in which the previous token is answered with the current one again; 0 turns it off. */
  retryWindow: number
  maxSessionsPerUser: number
  /** Sends what must outlive a master over a client of its own, and waits for so many replicas to have it. */
  replicated?: { redis: RedisClient, replicas: number } | undefined
  /** For metrics. */
  observe?: ScriptObserver | undefined
}

export interface NewSession extends Profile {
  userId: number
  deviceId: string
  label?: string
  /** When the log-in began, in Unix seconds by the caller's clock; a fraction counts. */
  authenticatedAt?: number
}

/**
 * Every method rejects with `StoreUnavailable` within `TIMEOUT` (runner.ts) when Redis does not do its part. Then nothing happens
 * later; but when only the answer was lost, what was asked has happened. With `replicated`, what opens, ends and changes
 * also rejects with `NotReplicated`.
 */
export interface SessionStore {
  /**
   * Opens a session, generation 1. Replaces the device's older one; evicts the least recently used over the cap. Sets the
   * profile, unless it was changed after `authenticatedAt`: then the record's stays.
   * @throws LoggedOutSince when the user has logged out everywhere after `authenticatedAt`.
   * @throws AuthenticatedAhead when `authenticatedAt` is more than a minute ahead of Redis's clock.
   */
  open (session: NewSession): Promise<LiveSession>
  /** Decides the refresh of an authentic token. One round trip; with `replicated`, a session that ends by reuse waits for replicas. */
  rotate (token: Pick<Generation, 'id' | 'sid' | 'gen' | 'exp'>, deviceId: string): Promise<Rotation>
  /** Ends one session. Whether such a one was live. */
  revoke (userId: number, sid: string): Promise<boolean>
  /** Ends every session of a user, and log-ins that began before. Returns the ids of the sessions that lived. */
  revokeAll (userId: number): Promise<string[]>
  /** The live sessions of a user, the last used first. */
  list (userId: number): Promise<SessionSummary[]>
  /** One live session as it stands, `undefined` when there is no such one. Writes nothing: works on a full or read-only Redis too. */
  find (userId: number, sid: string): Promise<FoundSession | undefined>
  /** Changes the profile; false when the user has no session: then it holds against log-ins that began before. */
  updateProfile (userId: number, profile: Partial<Profile>): Promise<boolean>
  /** Resolves when Redis would run a refresh now; a Cluster, when one of its masters would. */
  probe (): Promise<void>
  /** For metrics: how far Redis's clock is ahead of this machine's, in seconds; a step forward since the last call included. */
  takeClockAhead (): number | undefined
}

/** The clock is a store's own for each server, unless a test brings one that is wrong. */
export function createSessionStore (redis: RedisClient, options: SessionStoreOptions, createClock?: () => RedisClock): SessionStore {
  const { prefix, idleTtl, absoluteTtl, retryWindow, maxSessionsPerUser, replicated, observe } = options
  const servers = createServers(redis, createClock)
  const { run, probe } = createRunner(servers, prefix, observe)
  const { run: runDurably, confirm } = replicated === undefined ? { run } : createDurableRunner(replicated)

  function createDurableRunner ({ redis, replicas }: NonNullable<typeof replicated>): Pick<Runner, 'run'> & { confirm: Confirm } {
    const servers = createServers(redis, createClock, redis => defineReplicatedScripts(redis, replicas))
    // Without the replies: the session is counted already.
    const uncounted = createRunner(servers, prefix, (script, seconds, result) => observe?.(script, seconds, result))
    return { ...createRunner(servers, prefix, observe), confirm: createConfirm(uncounted.runWithin) }
  }

  return {
    async open ({ userId, deviceId, label = '', email, role, authenticatedAt = '' }) {
      const sid = newSessionId()
      const reply = await runDurably('open', userId,
        sid, hashDevice(deviceId), label, email, role, idleTtl, absoluteTtl, maxSessionsPerUser, authenticatedAt)
      return toOpened(reply, userId, sid)
    },

    async rotate ({ id, sid, gen, exp }, deviceId) {
      const startedAt = performance.now()
      const reply = await run('rotate', id, sid, gen, exp, hashDevice(deviceId), idleTtl, absoluteTtl, retryWindow)
      if (reply[0] === 'reused' && confirm !== undefined) {
        return { outcome: 'reused', unconfirmed: !await confirm(id, sid, startedAt + TIMEOUT - performance.now()) }
      }
      return toRotation(reply, id, sid)
    },

    async revoke (userId, sid) {
      const [word] = await runDurably('revoke', userId, sid)
      return word === 'revoked'
    },

    async revokeAll (userId) {
      const [, , , sids] = await runDurably('revoke-all', userId) as [string, number, number, string[]]
      return sids
    },

    async list (userId) {
      const sessions = toSummaries(await run('list', userId))
      return sessions.sort((a, b) => b.rotatedAt - a.rotatedAt)
    },

    async find (userId, sid) {
      return toFound(await run('find', userId, sid))
    },

    async updateProfile (userId, { email = '', role = '' }) {
      const [word] = await runDurably('update-profile', userId, email, role)
      return word === 'updated'
    },

    probe,

    takeClockAhead: servers.takeAhead
  }
}
