/** Milliseconds from the first counted request to the log line with all counts since then. */
const INTERVAL = 1000

/** Counts rejected requests by reason, and logs the counts: a line for each request would flood the log under overload. */
export interface RejectionLog<Reason extends string = string> {
  /** Counts a request. Returns whether it is the first with this reason since the last log line. */
  count (reason: Reason): boolean
  /** Logs the counts that are not logged yet. */
  flush (): void
}

/** Calls `log` at most once a second. Reasons must be few and known, never chosen by a client. */
export function createRejectionLog<Reason extends string> (log: (counts: Partial<Record<Reason, number>>) => void): RejectionLog<Reason> {
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
