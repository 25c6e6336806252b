import type { FastifyBaseLogger } from 'fastify'
import type { Command } from '#src/sessions/commands'
import { eachEnd, isOpened, type EndReason, type Reply } from '#src/sessions/replies'
import { CLIENT } from '#src/settings/api-keys'
import type { UserId } from '#src/tokens/user-id'

/** Milliseconds between two lines about refused tokens of one session. */
const INTERVAL = 1000

/** Maximum number of sessions whose refusals are held back at a time. Above it, the line of the oldest one is written at once. */
const MAX_HELD = 10_000

/** An authentic token that was refused: its session, the outcome, and the id of the request. */
export interface RefusedToken {
  userId: UserId
  sid: string
  reason: string
  reqId: string
}

/** The audit trail: a log line for each session opened, for each session ended, and for refused tokens. docs/audit.md lists the lines. */
export interface Audit {
  /** Logs the sessions that a command opened and ended. Without a `reply`, it logs nothing. */
  observe (command: Command, reply: Reply | undefined): void
  /**
   * Logs a refused token. Further refusals of its session within a second share one line, with their number and the last request: an
   * authentic token can be sent as fast as requests are answered.
   */
  refused (token: RefusedToken): void
  /** Logs the refusals that are held back. */
  flush (): void
}

/** `maxHeld` is for tests. */
export function createAudit (logger: FastifyBaseLogger, maxHeld = MAX_HELD): Audit {
  // Every line of the trail has this field, and no other line of the log has it, so that a collector can tell them apart.
  const log = logger.child({ log: 'audit' })
  const held = new Map<string, { timer: NodeJS.Timeout, last: RefusedToken, count: number }>()

  function logEnd (reason: EndReason, sid: string, userId: UserId, caller: string): void {
    log.info({ audit: 'session.ended', userId, sid, caller, reason }, 'session ended')
  }

  function logRefusals ({ userId, sid, reason, reqId }: RefusedToken, count: number): void {
    log.info({ audit: 'token.refused', userId, sid, caller: CLIENT, reason, count, reqId }, 'token refused')
  }

  /** Logs refusals, and holds back further ones of the session for a second. */
  function logAndHold (token: RefusedToken, count: number): void {
    logRefusals(token, count)
    const timer = setTimeout(() => {
      const { last, count } = held.get(token.sid)!
      held.delete(token.sid)
      if (count > 0) logAndHold(last, count)
    }, INTERVAL).unref()
    held.set(token.sid, { timer, last: token, count: 0 })
  }

  function release (sid: string): void {
    const { timer, last, count } = held.get(sid)!
    clearTimeout(timer)
    held.delete(sid)
    if (count > 0) logRefusals(last, count)
  }

  return {
    observe (command, reply) {
      if (reply === undefined) return
      eachEnd(command, reply, logEnd)
      if (!isOpened(command, reply)) return
      const { users: [userId], opens: sid, caller } = command
      log.info({ audit: 'session.opened', userId, sid, caller }, 'session opened')
    },

    refused (token) {
      const entry = held.get(token.sid)
      if (entry !== undefined) {
        entry.last = token
        entry.count++
        return
      }
      if (held.size === maxHeld) release(held.keys().next().value!)
      logAndHold(token, 1)
    },

    flush () {
      for (const sid of held.keys()) release(sid)
    }
  }
}
