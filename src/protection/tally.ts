import type { FastifyBaseLogger } from 'fastify'
import type { TurnAwayReason } from '../errors.ts'

/** Milliseconds from the first request turned away to the line that tells of it and of all until then. */
const INTERVAL = 1000

/** Counts requests turned away: a line each would drown the log, and the process, when there is least time for it. */
export interface Tally {
  count (reason: TurnAwayReason): void
  /** Logs what is not logged yet. */
  flush (): void
}

export function createTally (log: FastifyBaseLogger): Tally {
  let counts: Partial<Record<TurnAwayReason, number>> = {}
  let timer: NodeJS.Timeout | undefined

  function flush (): void {
    if (timer === undefined) return
    clearTimeout(timer)
    timer = undefined
    log.warn({ turnedAway: counts }, 'requests were turned away')
    counts = {}
  }

  return {
    count (reason) {
      counts[reason] = (counts[reason] ?? 0) + 1
      timer ??= setTimeout(flush, INTERVAL).unref()
    },
    flush
  }
}
