import type { FastifyBaseLogger } from 'fastify'
import type { TurnAwayReason } from '../errors.ts'

/** `redis`: let in, and failed by Redis. */
type Reason = TurnAwayReason | 'redis'

/** Milliseconds from the first request to the line that tells of it and of all until then. */
const INTERVAL = 1000

/** Counts requests turned away, or failed in numbers: a line each would drown the log, and the process, when there is least time for it. */
export interface Tally {
  /** Whether it is the first for this reason since the last line. */
  count (reason: Reason): boolean
  /** Logs what is not logged yet. */
  flush (): void
}

export function createTally (log: FastifyBaseLogger): Tally {
  let counts: Partial<Record<Reason, number>> = {}
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
      return counts[reason] === 1
    },
    flush
  }
}
