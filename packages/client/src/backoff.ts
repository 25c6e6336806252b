import { unavailable } from './errors.ts'

/** Longest first pause and longest later pause, ms. `MAX` is the default `retryFor`, so that a later call can still try. */
const FIRST = 1000
const MAX = 5000

/** The pause after requests without a clear answer: a random time that grows, or the server's `Retry-After` if that is longer. */
export interface Backoff {
  /** Milliseconds until the next request may be sent. */
  left (): number
  failed (retryAfter: number): void
  succeeded (): void
  /** Repeats an attempt until it has a result. Rejects with `unavailable` when none can come within `ms` milliseconds. */
  repeat<T> (attempt: () => Promise<T | undefined>, ms: number): Promise<T>
}

export function createBackoff (now: () => number): Backoff {
  let [failures, failedAt, pause] = [0, 0, 0]

  function left (): number {
    const passed = now() - failedAt
    // A clock that was set back ends the pause.
    return passed < 0 ? 0 : Math.max(0, pause - passed)
  }

  return {
    left,
    failed (retryAfter) {
      failedAt = now()
      pause = Math.ceil(Math.max(retryAfter, Math.min(FIRST * 2 ** failures++, MAX) * (0.5 + Math.random() / 2)))
    },
    succeeded () {
      failures = pause = 0
    },
    async repeat (attempt, ms) {
      const end = now() + ms
      for (;;) {
        const result = await attempt()
        if (result !== undefined) return result
        if (now() + left() > end) throw unavailable()
        await delay(left())
      }
    }
  }
}

/** Resolves after this number of milliseconds. */
export const delay = async (ms: number): Promise<void> => { await new Promise(resolve => { setTimeout(resolve, ms) }) }
