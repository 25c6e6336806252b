/**
 * Redis's clock, estimated between replies. Only used to date deadlines: what is decided by time, Redis decides.
 */
export interface RedisClock {
  /** Takes the clock of a reply, Unix milliseconds. */
  observe (redisMs: number): void
  /** A moment of `performance.now()` by Redis's clock, Unix milliseconds; 0 while nothing is known. */
  deadline (moment: number): number
}

/**
 * A reply is older than its arrival, so the estimate is never ahead of Redis's clock: a deadline errs towards refusing
 * a command in time, never towards letting a late one through.
 */
export function createRedisClock (): RedisClock {
  let offset: number | undefined
  return {
    observe (redisMs) {
      offset = redisMs - performance.now()
    },
    deadline (moment) {
      return offset === undefined ? 0 : Math.floor(moment + offset)
    }
  }
}
