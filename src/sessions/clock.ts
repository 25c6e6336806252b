/**
 * Redis's clock, estimated between replies. Only used to date deadlines: what is decided by time, Redis decides.
 */
export interface RedisClock {
  /** Takes the clock of a reply, Unix milliseconds. */
  observe (redisMs: number): void
  /** Forgets it: the next server may have another. */
  reset (): void
  /** A moment of `performance.now()` by Redis's clock, Unix milliseconds; `undefined` while nothing is known. */
  deadline (moment: number): number | undefined
}

/**
 * A reply is older than its arrival, so the estimate lags behind the clock it was read from: a deadline errs towards
 * refusing a command in time. It is ahead only when that clock was set back since the last reply.
 */
export function createRedisClock (): RedisClock {
  let offset: number | undefined
  return {
    observe (redisMs) {
      offset = redisMs - performance.now()
    },
    reset () {
      offset = undefined
    },
    deadline (moment) {
      return offset === undefined ? undefined : Math.floor(moment + offset)
    }
  }
}
