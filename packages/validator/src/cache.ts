import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { UserId } from '../../../src/tokens/user-id.ts'
import type { Settings } from './options.ts'
import type { ValidSession } from './session.ts'

/** Caches answers while subscribed to events. */
export interface SessionCache {
  get (token: string): ValidSession | undefined
  /**
   * Call this before looking up a session of a user. Returns the function that caches the answer; it does nothing after an
   * event about the user or a pause, because the answer may be older.
   */
  startLookup (id: UserId): (token: string, session: ValidSession) => void
  /** Drops the answers of a user after an event about that user. */
  dropUser (id: UserId): void
  /** Drops all answers after an event about an unknown user. */
  clear (): void
  /** Starts caching: the events arrive from now on. Idempotent. */
  resume (): void
  /** Drops all answers and stops caching: events may be missed from now on. */
  pause (): void
}

/**
 * Permission to cache answers about one user until an event about that user. Look-ups in flight and cached entries share
 * it, so that an event ends both with one write. It is per user, not per session: a profile belongs to all sessions of a
 * user, and dropping an entry needlessly costs one look-up.
 */
interface Lease { ended: boolean }

interface Entry {
  session: ValidSession
  lease: Lease
  /** Expiry, on the clock of `now`. */
  until: number
}

/** `now` is monotonic, in milliseconds; tests pass a clock of their own. */
export function createSessionCache ({ max, maxStaleness }: NonNullable<Settings['cache']>, now = () => performance.now()): SessionCache {
  const entries = new LRUCache<string, Entry>({ max })
  // Every lease that leaves this map ends, whether deleted, evicted or cleared.
  const leases = new LRUCache<UserId, Lease>({ max, dispose: lease => { lease.ended = true } })
  let subscribed = false

  const leaseOf = (id: UserId): Lease => {
    let lease = leases.get(id)
    if (lease === undefined) leases.set(id, lease = { ended: false })
    return lease
  }
  const clear = (): void => {
    entries.clear()
    leases.clear()
  }
  return {
    get (token) {
      const key = hashOf(token)
      const entry = entries.get(key)
      if (entry === undefined) return undefined
      if (!entry.lease.ended && now() < entry.until) return entry.session
      entries.delete(key)
      return undefined
    },

    startLookup (id) {
      if (!subscribed) return () => {}
      const lease = leaseOf(id)
      const start = now() // Redis's answer is at least as new as this
      return (token, session) => {
        const lifetime = Math.min(maxStaleness, session.expiresAt * 1000 - Date.now())
        if (!lease.ended) entries.set(hashOf(token), { session, lease, until: start + lifetime })
      }
    },

    dropUser: id => { leases.delete(id) },
    clear,
    resume: () => { subscribed = true },
    pause: () => {
      subscribed = false
      clear()
    }
  }
}

/**
 * Hashes the token, because a token gives access to an account: memory, or a memory dump, should not hold thousands of
 * tokens long after their requests. The hash gives no access.
 */
function hashOf (token: string): string {
  return createHash('sha256').update(token).digest('base64')
}
