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
  /** Maximum lifetime of a session, seconds. */
  absoluteTtl: number
  /** Seconds after a rotation in which the previous token gets the current token again; 0 turns retries off. */
  retryWindow: number
  maxSessionsPerUser: number
  /** Sends writes that must survive a failover over a separate client, and waits until `replicas` replicas have them. */
  replicated?: { redis: RedisClient, replicas: number } | undefined
  /** For metrics. */
  observe?: ScriptObserver | undefined
}

export interface NewSession extends Profile {
  userId: number
  deviceId: string
  label?: string
  /** When the log-in began, in Unix seconds by the caller's clock; fractions allowed. */
  authenticatedAt?: number
}

/**
 * Every method rejects with `StoreUnavailable` within `TIMEOUT` (runner.ts) when Redis fails or does not answer. Nothing takes
 * effect after that; but the call may have taken effect before, if only the answer was lost. With `replicated`, `open`,
 * `revoke`, `revokeAll` and `updateProfile` also reject with `NotReplicated`.
 */
export interface SessionStore {
  /**
   * Opens a session, generation 1. Replaces the device's older one; evicts the least recently used over the cap. Sets the
   * profile, unless it was changed after `authenticatedAt`: then the record keeps its profile.
   * @throws LoggedOutSince when the user logged out everywhere after `authenticatedAt`.
   * @throws AuthenticatedAhead when `authenticatedAt` is more than a minute ahead of Redis's clock.
   */
  open (session: NewSession): Promise<LiveSession>
  /** Decides the refresh of an authentic token. One round trip; with `replicated`, the end of a reused session waits for replicas. */
  rotate (token: Pick<Generation, 'id' | 'sid' | 'gen' | 'exp'>, deviceId: string): Promise<Rotation>
  /** Ends one session. Resolves to whether it was live. */
  revoke (userId: number, sid: string): Promise<boolean>
  /** Ends every session of a user, and refuses log-ins that began before. Resolves to the ids of the live sessions it ended. */
  revokeAll (userId: number): Promise<string[]>
  /** Lists the live sessions of a user, most recently used first. */
  list (userId: number): Promise<SessionSummary[]>
  /** Finds one live session; `undefined` if there is none. Writes nothing: works on a full or read-only Redis too. */
  find (userId: number, sid: string): Promise<FoundSession | undefined>
  /** Changes the profile. False if the user has no session; the change still overrides log-ins that began before. */
  updateProfile (userId: number, profile: Partial<Profile>): Promise<boolean>
  /** Resolves when Redis would run a refresh now; in a Cluster, when at least one master would. */
  probe (): Promise<void>
  /** For metrics: seconds that Redis's clock is ahead of this machine's, including a step forward since the last call. */
  takeClockAhead (): number | undefined
}

/** Each server gets its own clock; tests may pass a wrong one. */
export function createSessionStore (redis: RedisClient, options: SessionStoreOptions, createClock?: () => RedisClock): SessionStore {
  const { prefix, idleTtl, absoluteTtl, retryWindow, maxSessionsPerUser, replicated, observe } = options
  const servers = createServers(redis, createClock)
  const { run, probe } = createRunner(servers, prefix, observe)
  const { run: runDurably, confirm } = replicated === undefined ? { run } : createDurableRunner(replicated)

  function createDurableRunner ({ redis, replicas }: NonNullable<typeof replicated>): Pick<Runner, 'run'> & { confirm: Confirm } {
    const servers = createServers(redis, createClock, redis => defineReplicatedScripts(redis, replicas))
    // Drops the reply: the session has been counted already.
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
