import { setTimeout as delay } from 'node:timers/promises'
import { NotReplicated, StoreUnavailable } from '#src/errors'
import { withoutArguments } from '#src/log/redact'
import { waitingSince } from '#src/http/stall'
import type { Reply } from './outcomes.ts'
import { eventsChannel, userKey } from '#src/redis/keys'
import type { ScriptName } from './scripts.ts'
import { NoConnectionError, type Server, type Servers } from './servers.ts'

/** Milliseconds that Redis has to answer a call. The public endpoint promises its 500 within a second. */
export const TIMEOUT = 700

/** Maximum number of times a call is sent again, to the same or another server, after a server did not run it. */
const DETOURS = 3

/** `late` and `timeout`: the service gave up; `unreplicated`: done, but on too few replicas; `error`: from Redis or the connection. */
export const scriptResults = ['ok', 'late', 'timeout', 'unreplicated', 'error'] as const

export type ScriptResult = typeof scriptResults[number]

/** Called once for every settled call, with its total duration in seconds, and the reply if the result is `ok`. */
export type ScriptObserver = (script: ScriptName, seconds: number, result: ScriptResult, reply?: Reply) => void

/** Runs scripts on records. Rejects only with `StoreUnavailable` or `NotReplicated`, within `TIMEOUT`. */
export interface Runner {
  /**
   * Runs a script on a user's record, with a deadline so that it can't take effect after the caller was told 500: a frozen
   * server or a stalled socket may deliver a command much later. If the connection is lost meanwhile, the command may still
   * arrive: the call rejects only at the deadline.
   */
  run (name: ScriptName, userId: number, ...args: Array<string | number>): Promise<Reply>
  /** Like `run`, but within `ms` milliseconds, for the second call of a request. */
  runWithin (ms: number, name: ScriptName, userId: number, args: Array<string | number>): Promise<Reply>
  /** Resolves when Redis would run a refresh. In a Cluster one such master is enough: a dead shard must not take the others down. */
  probe (): Promise<void>
}

/** One script on one record; its caller gives up at `givenUpAt`, by `performance.now()`. */
interface Call {
  name: ScriptName
  key: string
  userId: number
  args: Array<string | number>
  givenUpAt: number
}

export function createRunner (servers: Servers, prefix: string, observe: ScriptObserver = () => {}): Runner {
  const channel = eventsChannel(prefix)
  const probeOne = async (key: string): Promise<void> => {
    const server = servers.of(key)
    const [, nowMs] = await server.scripts.probe(key) as Reply
    server.clock.observe(nowMs)
  }

  /** Runs a call; follows redirects and retries, at most `DETOURS` times. */
  async function pursue (call: Call): Promise<Reply> {
    try {
      let server: Server | undefined
      for (let left = DETOURS; ; left--) {
        try {
          server ??= servers.of(call.key)
          return await attempt(server, call)
        } catch (err) {
          if (!saysAgain(err as Error)) server = await servers.follow(err as Error, call.key)
          if (server === undefined || left === 0) throw err
        }
      }
    } catch (err) {
      return await giveUp(err as Error, call.givenUpAt)
    }
  }

  async function attempt (server: Server, { name, key, userId, args, givenUpAt }: Call): Promise<Reply> {
    const { clock, scripts } = server
    let deadline = clock.deadline(givenUpAt)
    if (deadline === undefined) {
      await server.readClock()
      deadline = clock.deadline(givenUpAt)!
    }
    const reply = await scripts[name](key, channel, userId, deadline, ...args) as Reply
    clock.observe(reply[1])
    if (reply[0] === 'late') throw new LateError()
    return reply
  }

  async function runWithin (ms: number, name: ScriptName, userId: number, args: Array<string | number>): Promise<Reply> {
    const startedAt = performance.now()
    const givenUpAt = waitingSince(startedAt) + ms
    const call = { name, key: userKey(prefix, userId), userId, args, givenUpAt }
    try {
      const reply = await within(ms, pursue(call))
      observe(name, (performance.now() - startedAt) / 1000, 'ok', reply)
      return reply
    } catch (err) {
      observe(name, (performance.now() - startedAt) / 1000, resultOf(err))
      throw toStoreError(err as Error)
    }
  }

  return {
    run: (name, userId, ...args) => runWithin(TIMEOUT, name, userId, args),
    runWithin,

    async probe () {
      const keys = servers.sample(n => userKey(prefix, n))
      await within(TIMEOUT, Promise.any(keys.map(probeOne))).catch(err => {
        throw toStoreError(err instanceof AggregateError ? err.errors[0] ?? new Error('no master is known') : err)
      })
    }
  }
}

/**
 * The server ran the command after its deadline, but the reply came in time: the server's clock was set, so the estimate was
 * wrong. The reply has corrected it.
 */
class LateError extends Error {
  override message = 'the command arrived too late to count'
}

/** Whether to retry on the same server: it has not run the script, and its reply has removed the cause. */
function saysAgain (err: Error): boolean {
  // ioredis sends the source after a first NOSCRIPT; a second SCRIPT FLUSH may come in between.
  return err instanceof LateError || err.message.startsWith('NOSCRIPT')
}

class TimeoutError extends Error {}

/** ioredis's error for a command that can't be sent and must not be queued. */
const UNSENT = /^Stream isn't writeable/

/** Throws the error: at once if Redis answered with it or never got the command; otherwise at the deadline, when it can't run any more. */
async function giveUp (err: Error, givenUpAt: number): Promise<never> {
  const isKnown = err.name === 'ReplyError' || err instanceof LateError || err instanceof NotReplicated
  if (!isKnown && !(err instanceof NoConnectionError) && !UNSENT.test(err.message)) await delay(givenUpAt - performance.now())
  throw err
}

function resultOf (err: unknown): ScriptResult {
  if (err instanceof LateError) return 'late'
  if (err instanceof NotReplicated) return 'unreplicated'
  return err instanceof TimeoutError ? 'timeout' : 'error'
}

function toStoreError (err: Error): Error {
  return err instanceof NotReplicated ? err : new StoreUnavailable(withoutArguments(err.message))
}

/** Settles as the promise does, or rejects after `ms`. */
async function within<T> (ms: number, promise: Promise<T>): Promise<T> {
  return await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new TimeoutError(`no answer within ${Math.round(ms)} ms`)), ms)
    const settle = <V>(how: (value: V) => void) => (value: V): void => {
      clearTimeout(timer)
      how(value)
    }
    promise.then(settle(resolve), settle(reject))
  })
}
