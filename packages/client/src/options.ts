import type { TokenStorage } from './storage.ts'

export interface SessionOptions {
  /** The address of `POST /api/ps/refresh`, as `fetch` takes it. */
  refreshUrl: string
  /** The address of `POST /api/ps/logout`; by default `refreshUrl` with its last part replaced by `logout`. */
  logoutUrl?: string
  /** The device's id, with which the login service opened the session. */
  deviceId: string
  /** Where the session is kept: `webStorage()`, `memoryStorage()` or your own. */
  storage: TokenStorage
  /** Sends all requests; by default the platform's `fetch`. */
  fetch?: typeof fetch
  /** Unix milliseconds by this device's clock; by default `Date.now`. */
  now?: () => number
  /** Time limit of a refresh or log-out request, milliseconds; default 10000. */
  timeout?: number
  /** Milliseconds for which a call repeats a request without a clear answer, before it rejects with `unavailable`; default 5000. */
  retryFor?: number
}

/**
 * Fills in the defaults.
 * @throws TypeError that names the wrong option.
 */
export function readOptions ({
  refreshUrl,
  logoutUrl = String(refreshUrl).replace(/[^/]*$/, 'logout'),
  deviceId,
  storage,
  // Looked up at every call, because tracing tools replace it.
  fetch = async (...args) => await globalThis.fetch(...args),
  now = Date.now,
  timeout = 10_000,
  retryFor = 5000
}: SessionOptions): Required<SessionOptions> {
  const isText = (value: unknown): boolean => typeof value === 'string' && value.trim() !== ''
  const isFunction = (value: unknown): boolean => typeof value === 'function'
  check(isText(refreshUrl), 'refreshUrl', 'a text')
  check(isText(logoutUrl), 'logoutUrl', 'a text')
  check(isText(deviceId), 'deviceId', 'a text')
  check([storage?.get, storage?.set, storage?.remove].every(isFunction), 'storage', 'an object with get, set and remove')
  check(isFunction(fetch), 'fetch', 'a function')
  check(isFunction(now), 'now', 'a function')
  check(timeout > 0, 'timeout', 'a number of milliseconds')
  check(retryFor >= 0, 'retryFor', 'a number of milliseconds')
  check(isFunction(globalThis.crypto?.getRandomValues), 'crypto.getRandomValues', 'a function')
  return { refreshUrl, logoutUrl, deviceId, storage, fetch, now, timeout, retryFor }
}

function check (isRight: boolean, name: string, what: string): void {
  if (!isRight) throw new TypeError(`${name} must be ${what}`)
}
