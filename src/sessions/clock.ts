/**
 * Estimates Redis's clock between replies. The estimate only dates deadlines; Redis makes every decision that depends on time.
 */
export interface RedisClock {
  /** Records Redis's clock from a reply, Unix milliseconds. */
  observe (redisMs: number): void
  /** Forgets the estimate: the next server may have another clock. */
  reset (): void
  /** Converts a `performance.now()` time to Redis's clock, Unix milliseconds; `undefined` before the first reply. */
  deadline (moment: number): number | undefined
  /**
   * Returns how many seconds Redis's clock is ahead of this machine's, negative if behind: the current offset, or the largest
   * since the last call if that is further from 0. A late reply makes Redis look behind, never ahead, so a step forward is
   * never missed. `undefined` before the first reply. Only metrics call it; a test's clock may lack it.
   */
  takeAhead? (): number | undefined
}

/**
 * A reply is older than its arrival, so the estimate lags behind Redis's clock: a deadline errs towards refusing a command
 * that was in time. The estimate is ahead only if Redis's clock was set back since the last reply.
 */
export function createRedisClock (): RedisClock {
  let offset: number | undefined
  let furthest = -Infinity
  return {
    observe (redisMs) {
      offset = redisMs - performance.now()
      if (offset > furthest) furthest = offset
    },
    reset () {
      offset = undefined
      furthest = -Infinity
    },
    deadline (moment) {
      return offset === undefined ? undefined : Math.floor(moment + offset)
    },
    takeAhead () {
      if (offset === undefined) return undefined
      const here = Date.now() - performance.now()
      const ahead = furthestFromZero([offset - here, furthest - here])! / 1000
      furthest = offset
      return ahead
    }
  }
}

/** Returns the number furthest from 0; `undefined` for an empty list. */
export function furthestFromZero (numbers: number[]): number | undefined {
  return numbers.length === 0 ? undefined : numbers.reduce((a, b) => Math.abs(b) > Math.abs(a) ? b : a)
}
