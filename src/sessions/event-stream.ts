import { NotReplicated, StoreUnavailable } from '#src/errors'
import { withoutArguments } from '#src/log/redact'
import type { RedisClient } from '#src/redis/client'
import { eventStreamKey } from '#src/redis/records'
import { withTimeout } from '#src/timeout'
import { userIdJson } from '#src/tokens/user-id'
import type { Command } from './commands.ts'
import { decisionOf, eachEnd, isOpened, toUpdated, type Reply, type UnreplicatedError } from './replies.ts'
import type { Runner } from './runner.ts'

/** Events that the stream keeps; Redis may keep a few more. At some 150 bytes each, the stream needs 15 MB. */
export const MAX_EVENTS = 100_000

/** Milliseconds that Redis has to append, within the second of the request. */
const TIMEOUT = 250

/** Fields and values of an entry. */
type Entry = string[]

/**
 * Appends the events of a command to the stream. Returns `undefined` if there are none, as for most refreshes.
 * The promise rejects with `StoreUnavailable`, so that the request is answered 500.
 */
export type Append = (command: Command, reply: Reply) => Promise<void> | undefined

/**
 * Appends openings, ends and changed profiles to one stream, before the request is answered. In a Cluster the stream is on another server
 * than most users, so no script can append in the step of the change.
 */
export function createEventStream (redis: RedisClient, prefix: string): Append {
  const key = eventStreamKey(prefix)
  const add = async (entry: Entry): Promise<unknown> => await redis.xadd(key, 'MAXLEN', '~', MAX_EVENTS, '*', ...entry)

  return (command, reply) => {
    const entries = entriesOf(command, reply)
    if (entries.length === 0) return undefined
    return withTimeout(Promise.all(entries.map(add)), TIMEOUT, () => { throw new Error(`no answer within ${TIMEOUT} ms`) })
      .then(() => {}, (err: Error) => { throw new StoreUnavailable(`the event stream: ${withoutArguments(err.message)}`) })
  }
}

/** Appends the events of each command before its call resolves, also of a change that too few replicas have. */
export function appending (run: Runner['run'], append: Append | undefined): Runner['run'] {
  if (append === undefined) return run
  return async (command, ms) => {
    try {
      const reply = await run(command, ms)
      await append(command, reply)
      return reply
    } catch (err) {
      if (err instanceof NotReplicated) await append(command, (err as Error as UnreplicatedError).reply)
      throw err
    }
  }
}

/** Appends the events of refresh `i`. If that fails, only this refresh fails, not the whole batch. */
export function appended<Rotation> (
  rotation: Rotation | Error, append: Append, command: Command, reply: Reply, i: number
): Rotation | Promise<Rotation> | Error {
  const appending = append(...decisionOf(command, reply, i))
  if (appending === undefined) return rotation
  return appending.then(() => {
    if (rotation instanceof Error) throw rotation
    return rotation
  })
}

function entriesOf (command: Command, reply: Reply): Entry[] {
  const { script, users, caller, opens } = command
  const entries: Entry[] = []
  eachEnd(command, reply, (reason, sid, userId) => {
    entries.push(['type', 'ended', 'reason', reason, 'id', String(userIdJson(userId)), 'sid', sid, 'caller', caller])
  })
  const id = String(userIdJson(users[0]!))
  if (isOpened(command, reply)) entries.push(['type', 'opened', 'id', id, 'sid', opens!, 'caller', caller])
  if (script === 'update-profile' && toUpdated(reply)) entries.push(['type', 'profile', 'id', id, 'caller', caller])
  return entries
}
