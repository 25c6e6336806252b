import type { RedisClient } from '#src/redis/client'
import { inBatches } from './batches.ts'
import { createCommands, type CommandOptions, type Credentials, type NewSession, type Presentation, type PresentedToken, type ProfileChange } from './commands.ts'
import { appended, appending, createEventStream } from './event-stream.ts'
import { newSessionId } from '#src/redis/records'
import type { UserId } from '#src/tokens/user-id'
import {
  toFound, toImportedUsers, toLogOut, toOpened, toRevoked, toRevokedIds, toRotations, toStoredUser, toSummaries, toUpdated,
  type FoundSession, type LiveSession, type LogOut, type RefreshableSession, type Rotation, type SessionSummary,
  type StoredUser
} from './replies.ts'
import { createRunner, TIMEOUT, type Runner, type ScriptObserver } from './runner.ts'
import { createServers, type RedisClock } from './servers.ts'
import { CLIENT } from '#src/settings/api-keys'
import { createConfirm, defineWaitingScripts, type Confirm } from './wait-for-replicas.ts'

/** Milliseconds for the look-up of a legacy token: with the refresh after it, the answer comes within a second. */
const LOOKUP_TIMEOUT = 250

export interface SessionStoreOptions extends CommandOptions {
  /** Sends writes that must survive a failover over a separate client, and waits until `replicas` replicas have them. */
  waitForReplicas?: { redis: RedisClient, replicas: number } | undefined
  /** Appends openings, ends and changed profiles to a stream, before the call resolves. */
  eventsStream?: boolean
  /** For metrics. */
  observe?: ScriptObserver | undefined
}

/**
 * Every method rejects with `StoreUnavailable` within a second when Redis fails or does not answer. No record changes
 * after that; but the call may have taken effect before, if only the answer was lost. With `waitForReplicas`, `open`,
 * `revoke`, `logOut`, `revokeAll`, `erase` and `updateProfile` also reject with `NotReplicated`.
 */
export interface SessionStore {
  /** Returns this store for another caller. Observers learn the caller of each command, by default `CLIENT`. */
  as (caller: string): SessionStore
  /**
   * Opens a session, generation 1. Replaces the device's older one, if the session has a device; evicts the least recently used
   * over the cap. Sets the given fields of the profile and the user's claims, unless they were changed after `authenticatedAt`: then
   * the record keeps its own.
   * @throws LoggedOutSince when the user logged out everywhere after `authenticatedAt`.
   * @throws AuthenticatedAhead when `authenticatedAt` is more than a minute ahead of Redis's clock.
   */
  open (session: NewSession): Promise<LiveSession>
  /**
   * Decides the refresh of an authentic token. One round trip, which the refreshes of a turn of the event loop share; with
   * `waitForReplicas`, the end of a reused session waits for replicas. With the `idempotencyKey` of the session's last rotation, or
   * for a session that is bound to a key, a retry has no time limit.
   */
  rotate (token: PresentedToken, deviceId: string | undefined, credentials?: Credentials): Promise<Rotation>
  /** Finds the user of an imported session by the hash of its legacy token. The next call of the request fits into the same second. */
  findImported (tokenHash: string): Promise<UserId | undefined>
  /** As `rotate`, for the legacy token of an imported session, which is its generation 0. Opens the session at the first call. */
  trade (token: PresentedToken, deviceId: string | undefined, credentials?: Credentials): Promise<Rotation>
  /** Ends one session. Resolves to whether it was live. */
  revoke (userId: UserId, sid: string): Promise<boolean>
  /** Ends the session of an authentic refresh token of any generation, if the device and the client are its own. */
  logOut (token: Pick<PresentedToken, 'id' | 'sid'>, deviceId: string | undefined, clientId?: string): Promise<LogOut>
  /**
   * Ends every session of a user but `except`, and refuses log-ins that began before. Resolves to the ids of the live sessions
   * it ended.
   */
  revokeAll (userId: UserId, except?: string): Promise<string[]>
  /** Removes everything stored about a user. Remembers nothing, so it refuses no log-in. */
  erase (userId: UserId): Promise<void>
  /** Lists the live sessions of a user, most recently used first. */
  list (userId: UserId): Promise<SessionSummary[]>
  /** Reads everything stored about a user, the sessions as `list` gives them; `undefined` if nothing is stored. */
  read (userId: UserId): Promise<StoredUser | undefined>
  /** Finds one live session; `undefined` if there is none. Writes nothing: works on a full or read-only Redis too. */
  find (userId: UserId, sid: string): Promise<FoundSession | undefined>
  /**
   * Finds the session of an authentic refresh token; `undefined` unless a refresh with it, from its own device and without an
   * `Idempotency-Key`, would succeed now. Writes nothing, like `find`.
   */
  findRefreshable (token: PresentedToken): Promise<RefreshableSession | undefined>
  /** Changes the profile or the user's claims. False if the user has no session; the change still overrides log-ins that began before. */
  updateProfile (userId: UserId, profile: ProfileChange): Promise<boolean>
  /** Resolves when Redis would run a refresh now; in a Cluster, when at least one master would. */
  probe (): Promise<void>
  /** For metrics: seconds that Redis's clock is ahead of this machine's, including a step forward since the last call. */
  takeClockAhead (): number | undefined
  /** Removes every listener from `redis`, which may live on. */
  release (): void
}

/** Each server gets its own clock; tests may pass a wrong one. */
export function createSessionStore (redis: RedisClient, options: SessionStoreOptions, createClock?: () => RedisClock): SessionStore {
  const { prefix, waitForReplicas, observe } = options
  const commands = createCommands(options)
  const servers = createServers(redis, createClock)
  const append = options.eventsStream === true ? createEventStream(redis, prefix) : undefined
  const { run: runOnce, probe } = createRunner(servers, prefix, observe)
  const run = appending(runOnce, append)
  const rotateInBatch = inBatches<Presentation, Rotation>(servers.batchSize, async presentations => {
    const command = commands.rotate(presentations)
    const reply = await runOnce(command)
    const rotations = toRotations(reply, presentations)
    return append === undefined ? rotations : rotations.map((rotation, i) => appended(rotation, append, command, reply, i))
  })
  const { run: runAndWait, confirm } = waitForReplicas === undefined ? { run, confirm: undefined } : createWaitingRunner(waitForReplicas)

  function createWaitingRunner ({ redis, replicas }: NonNullable<typeof waitForReplicas>): Pick<Runner, 'run'> & { confirm: Confirm } {
    const servers = createServers(redis, createClock, redis => defineWaitingScripts(redis, replicas))
    // Drops the reply: the session has been counted already.
    const uncounted = createRunner(servers, prefix, (command, seconds, result) => observe?.(command, seconds, result))
    const confirm = createConfirm(async (userId, sid, ms) => await uncounted.run(commands.revoke(userId, sid, 'reuse'), ms))
    return { run: appending(createRunner(servers, prefix, observe).run, append), confirm }
  }

  return forCaller(CLIENT, {
    options, run, runAndWait, confirm, rotateInBatch, probe, takeClockAhead: servers.takeAhead, release: servers.release
  })
}

/** The parts of a store that all callers share. */
interface Shared extends Runner, Pick<SessionStore, 'takeClockAhead' | 'release'> {
  options: CommandOptions
  runAndWait: Runner['run']
  confirm: Confirm | undefined
  rotateInBatch: (presentation: Presentation) => Promise<Rotation>
}

function forCaller (caller: string, shared: Shared): SessionStore {
  const { options, run, runAndWait, confirm, rotateInBatch, probe, takeClockAhead, release } = shared
  const commands = createCommands(options, caller)

  /** Waits until replicas have the end of a reused session. */
  async function confirmed ({ id, sid }: PresentedToken, rotation: Rotation, startedAt: number): Promise<Rotation> {
    if (rotation.outcome !== 'reused' || confirm === undefined) return rotation
    return { outcome: 'reused', unconfirmed: !await confirm(id, sid, startedAt + TIMEOUT - performance.now()) }
  }

  return {
    as: caller => forCaller(caller, shared),

    async open (session) {
      const sid = newSessionId()
      return toOpened(await runAndWait(commands.open(sid, session)), session, sid)
    },

    async rotate (token, deviceId, credentials = {}) {
      const startedAt = performance.now()
      return await confirmed(token, await rotateInBatch({ token, deviceId, credentials }), startedAt)
    },

    async findImported (tokenHash) {
      return toImportedUsers(await run(commands.findImported([tokenHash]), LOOKUP_TIMEOUT))[0]
    },

    async trade (token, deviceId, credentials = {}) {
      const startedAt = performance.now()
      const presentation = { token, deviceId, credentials }
      const [rotation] = toRotations(await run(commands.trade(presentation)), [presentation]) as [Rotation | Error]
      if (rotation instanceof Error) throw rotation
      return await confirmed(token, rotation, startedAt)
    },

    async revoke (userId, sid) {
      return toRevoked(await runAndWait(commands.revoke(userId, sid)))
    },

    async logOut (token, deviceId, clientId) {
      return toLogOut(await runAndWait(commands.logOut(token, deviceId, clientId)))
    },

    async revokeAll (userId, except) {
      return toRevokedIds(await runAndWait(commands.revokeAll(userId, except)))
    },

    async erase (userId) {
      await runAndWait(commands.erase(userId))
    },

    async list (userId) {
      return toSummaries(await run(commands.list(userId)))
    },

    async read (userId) {
      return toStoredUser(await run(commands.read(userId)))
    },

    async find (userId, sid) {
      return toFound(await run(commands.find(userId, sid)))?.session
    },

    async findRefreshable (token) {
      return toFound(await run(commands.findRefreshable(token)))
    },

    async updateProfile (userId, profile) {
      return toUpdated(await runAndWait(commands.updateProfile(userId, profile)))
    },

    probe,

    takeClockAhead,

    release
  }
}
