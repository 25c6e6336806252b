import { TurnedAway } from '#src/errors'

/**
 * The concurrency limit: counts the requests that wait for Redis, and admits no more than can be answered in time. Requests
 * whose bodies are still arriving don't count; otherwise a few slow senders could block all other clients.
 */
export interface ConcurrencyLimit {
  /** Error to refuse a request with before its body is read; `undefined` while the limit is not reached. */
  refusal (): TurnedAway | undefined
  /**
   * Called while the event loop lags: admits 10 % of the limit, and at least one request, because the lag may have
   * other causes, which refusing every request would not cure.
   * @throws TurnedAway when 10 % of the limit is reached.
   */
  assertBelowTenth (): void
  /**
   * Counts one more request; `release` must follow.
   * @throws TurnedAway when the limit is reached.
   */
  acquire (): void
  release (): void
}

export function createConcurrencyLimit (limit: number): ConcurrencyLimit {
  // Created once: a stack trace for each request would cost more than the refusal itself.
  const full = new TurnedAway('in_flight')
  const busy = new TurnedAway('event_loop')
  let waiting = 0
  return {
    refusal: () => waiting < limit ? undefined : full,
    assertBelowTenth () {
      if (waiting * 10 >= limit) throw busy
    },
    acquire () {
      if (waiting >= limit) throw full
      waiting++
    },
    release () { waiting-- }
  }
}

/**
 * Runs a call under the limit. A refresh calls `acquire` and `release` itself, to create no closure.
 * @throws TurnedAway when the limit is reached.
 */
export async function admit<T> (limit: Pick<ConcurrencyLimit, 'acquire' | 'release'>, run: () => Promise<T>): Promise<T> {
  limit.acquire()
  try {
    return await run()
  } finally {
    limit.release()
  }
}
