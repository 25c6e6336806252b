/** The part of the Web Locks standard that is used. */
interface LockManager {
  request (name: string, options: { signal: AbortSignal }, action: () => Promise<unknown>): Promise<unknown>
}

/** Milliseconds after which an action no longer waits for the lock: the tab that holds it may be frozen. */
const MAX_WAIT = 5000

/** Returns the lock manager, which older browsers, plain-http pages and most other platforms lack. */
export function webLocks (): LockManager | undefined {
  return (globalThis as { navigator?: { locks?: LockManager } }).navigator?.locks
}

/**
 * Returns a function that runs one action at a time: across all tabs where there are Web Locks, else in this tab. Across tabs this
 * spares requests, and correctness does not depend on it: the service answers the same token and key with the same tokens.
 */
export function createExclusive (name: string): <T>(action: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return async <T>(action: () => Promise<T>): Promise<T> => {
    const locks = webLocks()
    const run = async (): Promise<T> => locks === undefined ? await action() : await locked(locks, name, action)
    const running = last.then(run, run)
    last = running
    return await running
  }
}

async function locked<T> (locks: LockManager, name: string, action: () => Promise<T>): Promise<T> {
  const impatience = new AbortController()
  const timer = setTimeout(() => { impatience.abort() }, MAX_WAIT)
  let hasLock = false
  try {
    return await locks.request(name, { signal: impatience.signal }, async () => {
      hasLock = true
      clearTimeout(timer)
      return await action()
    }) as T
  } catch (err) {
    if (hasLock) throw err
    return await action()
  } finally {
    clearTimeout(timer)
  }
}
