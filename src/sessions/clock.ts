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
  /**
   * How far it is ahead of this machine's clock, in seconds, negative if behind: now, or the furthest ahead since the last
   * call if that is more. A reply that comes late makes it look behind, never ahead, so a step forward is never missed.
   * `undefined` while nothing is known. Only metrics ask; a clock of a test may lack it.
   */
  takeAhead? (): number | undefined
}

/**
 * A reply is older than its arrival, so the estimate lags behind the clock it was read from: a deadline errs towards
 * refusing a command in time. It is ahead only when that clock was set back since the last reply.
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

/** The number that is the furthest from 0; `undefined` of none. */
export function furthestFromZero (numbers: number[]): number | undefined {
  return numbers.length === 0 ? undefined : numbers.reduce((a, b) => Math.abs(b) > Math.abs(a) ? b : a)
}
