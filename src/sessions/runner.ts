import { setTimeout as delay } from 'node:timers/promises'
import { NotReplicated, StoreUnavailable } from '#src/errors'
import { withoutArguments } from '#src/log/redact'
import { waitingSince } from '#src/http/stall'
import { userKey } from '#src/redis/records'
import { NoConnectionError, sendUntilRun } from '#src/redis/redirects'
import { withTimeout } from '#src/timeout'
import { checkWritable, send, type Command } from './commands.ts'
import { isLate, type Reply, type UnreplicatedError } from './replies.ts'
import type { Server, Servers } from './servers.ts'

/** Milliseconds that Redis has to answer a call. The public endpoint promises its 500 within a second. */
export const TIMEOUT = 700

/** `late`: refused after its deadline; `timeout`: no answer; `unreplicated`: done, but on too few replicas; `error`: any other. */
export const scriptResults = ['ok', 'late', 'timeout', 'unreplicated', 'error'] as const

export type ScriptResult = typeof scriptResults[number]

/** Called once for every settled command, with its total duration in seconds, and the reply if the result is `ok` or `unreplicated`. */
export type ScriptObserver = (command: Command, seconds: number, result: ScriptResult, reply?: Reply) => void

/** Runs commands on records. Rejects only with `StoreUnavailable` or `NotReplicated`, within `TIMEOUT`. */
export interface Runner {
  /**
   * Runs a command with a deadline, so that it can't take effect after the caller was told 500: a frozen server or a stalled
   * socket may deliver it much later. If the connection is lost meanwhile, the command may still arrive: the call rejects
   * only at the deadline. `ms` can be shorter than `TIMEOUT` if a request runs two commands.
   */
  run (command: Command, ms?: number): Promise<Reply>
  /** Resolves when Redis would run a refresh. In a Cluster one such master is enough: a dead shard must not take the others down. */
  probe (): Promise<void>
}

export function createRunner (servers: Servers, prefix: string, observe: ScriptObserver = () => {}): Runner {
  /** Sends a command once. `expiresAt` is the end of the call, by `performance.now()`. */
  async function sendOnce (server: Server, command: Command, expiresAt: number): Promise<Reply> {
    const { clock, scripts } = server
    try {
      let deadline = clock.deadline(expiresAt)
      if (deadline === undefined) {
        await server.readClock()
        deadline = clock.deadline(expiresAt)!
      }
      const reply = await send(scripts, command, deadline)
      clock.observe(reply[1])
      if (isLate(reply)) throw new LateError()
      return reply
    } catch (err) {
      if (mayStillRun(err as Error)) await delay(Math.max(0, expiresAt - performance.now()))
      throw err
    }
  }

  async function probeServer (key: string): Promise<void> {
    const server = servers.of(key)
    const [, nowMs] = await checkWritable(server.scripts, key)
    server.clock.observe(nowMs)
  }

  return {
    async run (command, ms = TIMEOUT) {
      const startedAt = performance.now()
      const expiresAt = waitingSince(startedAt) + ms
      try {
        const sent = sendUntilRun(servers, command.keys[0]!, server => sendOnce(server, command, expiresAt), canRetryHere)
        const reply = await withTimeout(sent, ms, () => { throw new TimeoutError(ms) })
        observe(command, (performance.now() - startedAt) / 1000, 'ok', reply)
        return reply
      } catch (err) {
        observe(command, (performance.now() - startedAt) / 1000, resultOf(err), replyOf(err))
        throw toStoreError(err as Error)
      }
    },

    async probe () {
      const keys = servers.sample(n => userKey(prefix, n))
      await withTimeout(Promise.any(keys.map(probeServer)), TIMEOUT, () => { throw new TimeoutError(TIMEOUT) }).catch(err => {
        throw toStoreError(err instanceof AggregateError ? err.errors[0] ?? new Error('no master is known') : err)
      })
    }
  }
}

/**
 * Redis refused the command after its deadline, but the reply came in time: the estimate of Redis's clock was behind. The reply
 * has corrected it.
 */
class LateError extends Error {
  override message = 'the command arrived too late to count'
}

class TimeoutError extends Error {
  constructor (ms: number) {
    super(`no answer within ${Math.round(ms)} ms`)
  }
}

/** Whether to retry on the same server: it did not run the command, and a second attempt can succeed. */
function canRetryHere (err: Error): boolean {
  // ioredis sends the source after a first NOSCRIPT; a second SCRIPT FLUSH may come in between.
  return err instanceof LateError || err.message.startsWith('NOSCRIPT')
}

/** ioredis's error for a command that can't be sent and must not be queued. */
const UNSENT = /^Stream isn't writeable/

/** Whether a server may still run the command before its deadline: it was sent, and Redis has not answered. */
function mayStillRun (err: Error): boolean {
  const isAnswered = err.name === 'ReplyError' || err instanceof LateError || err instanceof NotReplicated
  return !isAnswered && !(err instanceof NoConnectionError) && !UNSENT.test(err.message)
}

function resultOf (err: unknown): ScriptResult {
  if (err instanceof LateError) return 'late'
  if (err instanceof NotReplicated) return 'unreplicated'
  return err instanceof TimeoutError ? 'timeout' : 'error'
}

/** The reply of a script that has done its work, on too few replicas. */
function replyOf (err: unknown): Reply | undefined {
  return err instanceof NotReplicated ? (err as Error as UnreplicatedError).reply : undefined
}

function toStoreError (err: Error): Error {
  return err instanceof NotReplicated ? err : new StoreUnavailable(withoutArguments(err.message))
}
