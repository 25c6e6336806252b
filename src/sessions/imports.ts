import { setTimeout as delay } from 'node:timers/promises'
import type { RedisClient } from '#src/redis/client'
import { eventsChannel, importedKey, userKey } from '#src/redis/records'
import { CLIENT } from '#src/settings/api-keys'
import type { Claims } from '#src/tokens/custom-claims'
import { userIdJson, type UserId } from '#src/tokens/user-id'
import { inBatches } from './batches.ts'
import { createCommands, type Command, type CommandOptions } from './commands.ts'
import { toImported, toImportedUsers, type Imported, type Profile } from './replies.ts'
import { createRunner } from './runner.ts'
import type { ScriptName } from './scripts.ts'
import { createServers } from './servers.ts'
import { defineWaitingScripts } from './wait-for-replicas.ts'

/** A session to import; times in Unix seconds. Absent values of times and lifetimes are the defaults of import.lua. */
export interface ImportedSession extends Partial<Profile> {
  userId: UserId
  sid: string
  /** 0 for the session of a legacy token. */
  gen: number
  createdAt?: number | undefined
  rotatedAt?: number | undefined
  expiresAt?: number | undefined
  /** Hashed; '-' for none. */
  device: string
  /** The hashed Idempotency-Key of the last rotation; '-' for none. */
  attempt: string
  idleTtl?: number | undefined
  absoluteTtl?: number | undefined
  label?: string | undefined
  userClaims?: Claims | undefined
  sessionClaims?: Claims | undefined
  clientId?: string | undefined
  jkt?: string | undefined
}

/** Writes imported sessions. Every method may be repeated, and rejects with `StoreUnavailable` or `NotReplicated` after some seconds. */
export interface Importer {
  /** The user of an imported session, by the name of its marker: the hash of its legacy token, or its sid. */
  find (name: string): Promise<UserId | undefined>
  write (session: ImportedSession): Promise<Imported>
  /** Remembers the import until `expiresAt`. Returns the user of an earlier marker of this name, or `userId`. */
  mark (name: string, userId: UserId, expiresAt: number): Promise<UserId>
}

/** Milliseconds between two attempts, and their number: longer than a failover. */
const PAUSE = 250
const ATTEMPTS = 60

interface Marker { name: string, userId: UserId, expiresAt: number }

/**
 * Calls of one turn of the event loop share a script, as refreshes do. Every write waits for `replicas` replicas: in a Cluster, a failover
 * of one server must not lose a record whose marker is on another.
 */
export function createImporter (redis: RedisClient, options: CommandOptions, { replicas = 0, attempts = ATTEMPTS } = {}): Importer {
  const { prefix, absoluteTtl, maxSessionsPerUser } = options
  const { findImported } = createCommands(options)
  const servers = createServers(redis, undefined, replicas > 0 ? redis => defineWaitingScripts(redis, replicas) : undefined)
  const { run } = createRunner(servers, prefix)
  const channel = eventsChannel(prefix)
  const command = (script: ScriptName, keys: string[], argv: Command['argv']): Command =>
    ({ script, keys, channel, argv, users: [], caller: CLIENT })

  const find = inBatches<string, UserId | undefined>(servers.batchSize, async names => toImportedUsers(await run(findImported(names))))
  const write = inBatches<ImportedSession, Imported>(servers.batchSize, async sessions => toImported(await run(command(
    'import', sessions.map(({ userId }) => userKey(prefix, userId)), [absoluteTtl, maxSessionsPerUser, ...sessions.map(toArgument)]
  ))))
  const mark = inBatches<Marker, UserId | undefined>(servers.batchSize, async markers => toImportedUsers(await run(command(
    'mark-imported', markers.map(({ name }) => importedKey(prefix, name)), markers.map(({ expiresAt, userId }) => `${expiresAt}:${userIdJson(userId)}`)
  ))))

  /** Repeats a failed call, up to `attempts` times. */
  async function untilDone<T> (call: () => Promise<T>): Promise<T> {
    for (let left = attempts; ; left--) {
      try {
        return await call()
      } catch (err) {
        if (left === 0) throw err
        await delay(PAUSE)
      }
    }
  }

  return {
    find: async name => await untilDone(async () => await find(name)),
    write: async session => await untilDone(async () => await write(session)),
    mark: async (name, userId, expiresAt) => (await untilDone(async () => await mark({ name, userId, expiresAt })))!
  }
}

/** A session as import.lua takes it. */
function toArgument (session: ImportedSession): string {
  const { createdAt = '', rotatedAt = '', expiresAt = '', idleTtl = '', absoluteTtl = '' } = session
  const json = (claims?: Claims): string => claims === undefined ? '' : JSON.stringify(claims)
  return JSON.stringify([
    String(userIdJson(session.userId)), session.sid, session.gen, createdAt, rotatedAt, expiresAt, session.device, session.attempt,
    idleTtl, absoluteTtl, session.label ?? '', session.email ?? '', session.role ?? '', json(session.userClaims), json(session.sessionClaims),
    session.clientId ?? '', session.jkt ?? ''
  ])
}
