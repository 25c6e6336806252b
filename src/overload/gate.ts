import { TurnedAway } from '#src/errors'

/**
 * Counts the requests that wait for Redis and lets no more in than can be answered in time. Requests whose bodies are
 * still arriving don't count, or else a few slow senders would shut everybody out.
 */
export interface Gate {
  /** What to refuse a request with before its body is read; `undefined` while there is room. */
  refusal (): TurnedAway | undefined
  /**
   * To be asked while the event loop lags: then a tenth of the room has to do. Never none, because a lag may have other
   * causes than requests, and turning the few away that there are would cure nothing.
   * @throws TurnedAway when that tenth is taken.
   */
  assertNotBusy (): void
  /**
   * Counts one more; `leave` must follow.
   * @throws TurnedAway when the gate is full.
   */
  enter (): void
  leave (): void
}

export function createGate (limit: number): Gate {
  // Made once: a stack a request would cost more than the refusal.
  const full = new TurnedAway('in_flight')
  const busy = new TurnedAway('event_loop')
  let waiting = 0
  return {
    refusal: () => waiting < limit ? undefined : full,
    assertNotBusy () {
      if (waiting * 10 >= limit) throw busy
    },
    enter () {
      if (waiting >= limit) throw full
      waiting++
    },
    leave () { waiting-- }
  }
}
