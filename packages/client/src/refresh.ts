import { createBackoff, delay } from './backoff.ts'
import { loggedOut } from './errors.ts'
import { webLocks } from './exclusive.ts'
import type { SessionOptions } from './options.ts'
import { isRefusal, post } from './post.ts'
import type { TokenStorage } from './storage.ts'
import { readTokens, type StoredSession, type Tokens } from './tokens.ts'
import type { WatchedStorage } from './watched-storage.ts'

/** Milliseconds in which a tab sees the last write of the tab that held the lock before. */
const SETTLING = 100

/**
 * Returns a function that replaces a session whose access token is no longer good, and repeats requests without a clear answer for
 * `retryFor` milliseconds. All calls of this tab share each request. Rejects with `logged-out` or `unavailable`.
 */
export function createRefresh (
  { refreshUrl, deviceId, storage, fetch, now, timeout }: Required<SessionOptions>,
  { read, write, remove }: WatchedStorage,
  exclusively: <T>(action: () => Promise<T>) => Promise<T>
): (stale: StoredSession, retryFor: number) => Promise<StoredSession> {
  const backoff = createBackoff(now)
  let attempt: Promise<StoredSession | undefined> | undefined

  return async (stale, retryFor) => await backoff.repeat(async () => {
    attempt ??= exclusively(async () => await tryOnce(stale)).finally(() => { attempt = undefined })
    return await attempt
  }, retryFor)

  /** Sends one request, unless another tab has refreshed already or it is too early. `undefined` without a clear answer. */
  async function tryOnce (stale: StoredSession): Promise<StoredSession | undefined> {
    const current = await read()
    // Two access tokens of one second are equal; two refresh tokens never are.
    if (current?.refreshToken !== stale.refreshToken) return orLoggedOut(current)
    if (backoff.left() > 0) return undefined
    const sent = await withKey(current)
    if (sent.refreshToken !== current.refreshToken) return sent

    const receivedAt = now()
    const answer = await post(fetch, refreshUrl, { deviceId, refreshToken: sent.refreshToken }, timeout, { headers: { 'Idempotency-Key': sent.key! } })
    const latest = await read()
    // Another tab has refreshed meanwhile, or the user has logged out or in. The stored session counts, and this answer does not.
    if (latest?.refreshToken !== sent.refreshToken) return orLoggedOut(latest)

    const tokens = answer.status === 200 ? readTokens(answer.body) : undefined
    if (tokens?.id === sent.id) {
      backoff.succeeded()
      return await write(newSession(tokens, receivedAt, storage))
    }
    if (isRefusal(answer)) {
      await remove()
      throw loggedOut()
    }
    backoff.failed(answer.retryAfter)
    return undefined
  }

  /** Stores a key beside the refresh token before both are sent, unless an earlier attempt has stored one. */
  async function withKey (session: StoredSession): Promise<StoredSession> {
    if (session.key !== undefined) return session
    // The tab that held the lock before may have refreshed: writing now would put the used token back.
    const latest = await settled()
    if (latest.refreshToken !== session.refreshToken || latest.key !== undefined) return latest
    return await write({ ...latest, key: randomKey() })
  }

  /** The session after the writes of other tabs, which a browser shows late. */
  async function settled (): Promise<StoredSession> {
    if (storage.subscribe !== undefined) await delay(SETTLING)
    return orLoggedOut(await read())
  }
}

/**
 * The value to store for new tokens. Without locks, tabs may refresh at the same moment and must all send one key, so it is stored with
 * the token. Elsewhere the key is made when it is needed: a copy of the storage at rest then has no key.
 */
export function newSession (tokens: Tokens, receivedAt: number, storage: TokenStorage): StoredSession {
  const mayRace = storage.subscribe !== undefined && webLocks() === undefined
  return { ...tokens, receivedAt, ...mayRace && { key: randomKey() } }
}

function orLoggedOut (session: StoredSession | null): StoredSession {
  if (session === null) throw loggedOut()
  return session
}

/** 128 random bits, in hexadecimal digits. */
function randomKey (): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(16).padStart(2, '0')).join('')
}
