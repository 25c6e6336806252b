import { NotReplicated, StoreUnavailable } from '../errors.ts'
import { withoutArguments } from '../redis/message.ts'
import type { Reply } from './outcomes.ts'
import { eventsChannel, userKey } from './record.ts'
import type { ScriptName } from './scripts.ts'
import type { Server, Servers } from './servers.ts'

/** Milliseconds Redis has for a call. The public endpoint promises its 500 within a second. */
export const TIMEOUT = 700

/** How often a call goes elsewhere, or again, because the server it went to did not run it. */
const DETOURS = 3

/** Runs scripts on records. Everything it rejects with is `StoreUnavailable` or `NotReplicated`, within `TIMEOUT`. */
export interface Runner {
  /**
   * Runs a script on a user's record, dated so that it can't take effect after the caller was told 500: a frozen
   * server or a stalled socket may deliver a command long after.
   */
  run (name: ScriptName, userId: number, ...args: Array<string | number>): Promise<Reply>
  /** Resolves when a refresh would be run: in a Cluster by one master at least, since a dead shard must not take the others along. */
  probe (): Promise<void>
}

export function createRunner (servers: Servers, prefix: string): Runner {
  const channel = eventsChannel(prefix)
  const probeOne = async (key: string): Promise<void> => {
    const server = servers.of(key)
    const [, nowMs] = await server.scripts.probe(key) as Reply
    server.clock.observe(nowMs)
  }

  return {
    async run (name, userId, ...args) {
      const key = userKey(prefix, userId)
      const givenUpAt = performance.now() + TIMEOUT
      const attempt = async (server = servers.of(key)): Promise<Reply> => {
        if (server.clock.deadline(givenUpAt) === undefined) await server.readClock()
        const reply = await server.scripts[name](key, channel, userId, server.clock.deadline(givenUpAt)!, ...args) as Reply
        server.clock.observe(reply[1])
        if (reply[0] === 'late') throw new LateError(server)
        return reply
      }
      const detour = async (err: Error, left: number): Promise<Reply> => {
        const server = err instanceof LateError ? err.server : await servers.follow(err)
        if (server === undefined || left === 0) throw err
        return await attempt(server).catch(async err => await detour(err, left - 1))
      }
      return await within(TIMEOUT, attempt().catch(async err => await detour(err, DETOURS)))
    },

    async probe () {
      const keys = servers.sample(n => userKey(prefix, n))
      await within(TIMEOUT, Promise.any(keys.map(probeOne)).catch((err: AggregateError) => {
        throw err.errors[0] ?? new Error('no master is known')
      }))
    }
  }
}

/**
 * A reply that came in time and says that the command did not: our estimate of the server's clock was off (it was set),
 * and that reply has corrected it.
 */
class LateError extends Error {
  override message = 'the command arrived too late to count'
  readonly server: Server

  constructor (server: Server) {
    super()
    this.server = server
  }
}

/** Settles as the promise does, or rejects after `ms`; every rejection but `NotReplicated` becomes `StoreUnavailable`. */
async function within<T> (ms: number, promise: Promise<T>): Promise<T> {
  let timer
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([promise, timeout])
  } catch (err) {
    throw err instanceof NotReplicated ? err : new StoreUnavailable(withoutArguments((err as Error).message))
  } finally {
    clearTimeout(timer)
  }
}
