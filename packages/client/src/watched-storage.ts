import type { TokenStorage } from './storage.ts'
import { claimsOf, parseStored, type StoredSession } from './tokens.ts'

/** The user's profile, read from the storage. */
export interface Profile { id: number | string, email: string, role: string }

export interface SessionEvent {
  /** `logged-in` also when another user or another session replaces the one before. */
  type: 'logged-in' | 'refreshed' | 'logged-out'
  /** `null` after a log-out. */
  profile: Profile | null
}

export interface WatchedStorage {
  read (): Promise<StoredSession | null>
  write (session: StoredSession): Promise<StoredSession>
  remove (): Promise<void>
  /** Calls the listener at every change of the session, by this tab and by others. Returns a function that ends the calls. */
  subscribe (listener: (event: SessionEvent) => void): () => void
}

export function profileOf (session: StoredSession | null): Profile | null {
  return session && { id: session.id, email: session.email, role: session.role }
}

/** Adds events to a storage: every reading and writing shows whether the session has changed. */
export function watch (storage: TokenStorage): WatchedStorage {
  const listeners = new Set<{ listener: (event: SessionEvent) => void }>()
  let known: StoredSession | null | undefined
  let writes = 0

  function observe (session: StoredSession | null): void {
    const type = known === undefined ? undefined : changeOf(known, session)
    known = session
    // In a microtask of its own, so that an error of a listener reaches no caller.
    if (type !== undefined) for (const { listener } of listeners) queueMicrotask(() => { listener({ type, profile: profileOf(session) }) })
  }

  async function read (): Promise<StoredSession | null> {
    const before = writes
    const session = parseStored(await storage.get())
    // A session that was read before a write, and arrives after it, is out of date.
    if (before === writes) observe(session)
    return session
  }

  return {
    read,
    async write (session) {
      await storage.set(JSON.stringify(session))
      writes++
      observe(session)
      return session
    },
    async remove () {
      await storage.remove()
      writes++
      observe(null)
    },
    subscribe (listener) {
      const entry = { listener }
      const look = (): void => { read().catch(() => {}) }
      listeners.add(entry)
      const unsubscribe = storage.subscribe?.(look)
      look()
      return () => {
        listeners.delete(entry)
        unsubscribe?.()
      }
    }
  }
}

function changeOf (before: StoredSession | null, after: StoredSession | null): SessionEvent['type'] | undefined {
  if (before?.refreshToken === after?.refreshToken) return undefined
  if (after === null) return 'logged-out'
  const isSame = before?.id === after.id && claimsOf(before.refreshToken).sid === claimsOf(after.refreshToken).sid
  return isSame ? 'refreshed' : 'logged-in'
}
