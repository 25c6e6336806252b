/** Milliseconds from the first request to the line that tells of it and of all until then. */
const INTERVAL = 1000

/** Counts requests by reason: a line each would drown the log, and the process, when there is least time for it. */
export interface Tally<Reason extends string = string> {
  /** Whether it is the first for this reason since the last line. */
  count (reason: Reason): boolean
  /** Logs what is not logged yet. */
  flush (): void
}

/** `log` writes a line a second at the most. Reasons are few and known: a client chooses none. */
export function createTally<Reason extends string> (log: (counts: Partial<Record<Reason, number>>) => void): Tally<Reason> {
  let counts: Partial<Record<Reason, number>> = {}
  let timer: NodeJS.Timeout | undefined

  function flush (): void {
    if (timer === undefined) return
    clearTimeout(timer)
    timer = undefined
    log(counts)
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
