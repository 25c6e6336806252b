import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Settings } from './options.ts'
import type { ValidSession } from './session.ts'

/** Remembers answers while events are heard. */
export interface SessionCache {
  get (token: string): ValidSession | undefined
  /**
   * To be called before the session of a user is looked up; gives the function that remembers the answer. That does
   * nothing when an event of the user, or a gap in hearing, came between: the answer may be older than the event.
   */
  lookingUp (id: number): (token: string, session: ValidSession) => void
  /** Something changed for a user. */
  forget (id: number): void
  /** Something changed for somebody. */
  clear (): void
  /** Events are heard from now on. May be said again. */
  resume (): void
  /** Events may be missed from now on: everything is forgotten, and nothing remembered. */
  pause (): void
}

/**
 * Permission to remember answers about one user, as long as nothing happens to that user. Lookups in flight and entries
 * share it, so that an event ends both with one write. Per user, not per session: a profile belongs to all sessions, and
 * what is forgotten in vain costs one lookup.
 */
interface Lease { ended: boolean }

interface Entry {
  session: ValidSession
  lease: Lease
  /** By `now`. */
  until: number
}

/** `now` is monotonic, in milliseconds; a test brings one that it can turn. */
export function createSessionCache ({ max, maxStaleness }: NonNullable<Settings['cache']>, now = () => performance.now()): SessionCache {
  const entries = new LRUCache<string, Entry>({ max })
  // A lease that is not in here any more is over, for whatever reason.
  const leases = new LRUCache<number, Lease>({ max, dispose: lease => { lease.ended = true } })
  let hearing = false

  const leaseOf = (id: number): Lease => {
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
      const key = nameOf(token)
      const entry = entries.get(key)
      if (entry === undefined) return undefined
      if (!entry.lease.ended && now() < entry.until) return entry.session
      entries.delete(key)
      return undefined
    },

    lookingUp (id) {
      if (!hearing) return () => {}
      const lease = leaseOf(id)
      const start = now() // what Redis says is at least as new
      return (token, session) => {
        const lifetime = Math.min(maxStaleness, session.expiresAt * 1000 - Date.now())
        if (!lease.ended) entries.set(nameOf(token), { session, lease, until: start + lifetime })
      }
    },

    forget: id => { leases.delete(id) },
    clear,
    resume: () => { hearing = true },
    pause: () => {
      hearing = false
      clear()
    }
  }
}

/**
 * A token is a key to somebody's account: memory, and a dump of it, should not hold thousands of them long after their
 * requests. A hash of it opens nothing.
 */
function nameOf (token: string): string {
  return createHash('sha256').update(token).digest('base64')
}
