import { createExclusive } from './exclusive.ts'
import { createBackoff } from './backoff.ts'
import { loggedOut, SessionError, unavailable } from './errors.ts'
import { readOptions, type SessionOptions } from './options.ts'
import { isRefusal, post } from './post.ts'
import { createRefresh, newSession } from './refresh.ts'
import { lifetimeOf, readTokens, type StoredSession, type Tokens } from './tokens.ts'
import { profileOf, watch, type Profile, type SessionEvent } from './watched-storage.ts'

export { SessionError, type SessionErrorCode } from './errors.ts'
export type { SessionOptions } from './options.ts'
export { memoryStorage, webStorage, type TokenStorage, type WebStorageArea } from './storage.ts'
export type { StoredSession, Tokens } from './tokens.ts'
export type { Profile, SessionEvent } from './watched-storage.ts'

/** Milliseconds before the end of an access token at which it is replaced. A short token is replaced in the last tenth of its lifetime. */
const AHEAD = 30_000

/** Methods need no `this`. They reject with `SessionError`, or an error of the storage or of `fetch`. */
export interface Session {
  /** Takes over the tokens of a log-in, the five documented keys. @throws TypeError for anything else */
  logIn (tokens: Tokens): Promise<void>
  /**
   * Deletes the tokens in every tab, after a refresh that is under way, and ends the session at the service. Rejects with `unavailable`
   * when the service has not confirmed the end. The tokens are deleted then too, but a copy of the refresh token works until the session
   * ends by itself.
   */
  logOut (): Promise<void>
  /** The logged-in user, or `null`. Asks no server. */
  getProfile (): Promise<Profile | null>
  /**
   * Returns a valid access token, and refreshes it first if it is about to expire. While the service gives no clear answer, the token may
   * be in its last seconds. After a 401, pass the `refused` token to get another one.
   */
  getAccessToken (refused?: string): Promise<string>
  /**
   * `fetch` with the access token in `Authorization`. After a 401 it refreshes and repeats the request once, unless `init.body` is a
   * stream. The token goes to every address it is given: use it for your own APIs alone.
   */
  fetch: typeof fetch
  /** Calls the listener when the user logs in or out and when tokens are refreshed, in any tab. Returns a function that ends the calls. */
  subscribe (listener: (event: SessionEvent) => void): () => void
}

/**
 * Creates the session of one user on this device; its tokens may be in the storage already.
 * @throws TypeError that names the wrong option
 */
export function createSession (options: SessionOptions): Session {
  const settings = readOptions(options)
  const { deviceId, fetch, logoutUrl, now, refreshUrl, retryFor, storage, timeout } = settings
  const watched = watch(storage)
  const exclusively = createExclusive(`refresh-token-client ${refreshUrl}`)
  const refresh = createRefresh(settings, watched, exclusively)

  async function read (): Promise<StoredSession> {
    const session = await watched.read()
    if (session === null) throw loggedOut()
    return session
  }

  /** The session with an access token that is not about to expire. */
  async function current (): Promise<StoredSession> {
    const session = await read()
    const { left, whole } = lifetimeOf(session, now())
    // NaN of a token whose times can't be read counts as fresh: the API decides.
    if (!(left <= Math.min(AHEAD, whole / 10))) return session
    try {
      return await refresh(session, left > 0 ? 0 : retryFor)
    } catch (err) {
      const isUsable = err instanceof SessionError && err.code === 'unavailable' && lifetimeOf(session, now()).left > 0
      if (isUsable) return session
      throw err
    }
  }

  return {
    async logIn (tokens) {
      const checked = readTokens(tokens)
      if (checked === undefined) throw new TypeError('The tokens of a log-in have id, email, role, token and refreshToken')
      const receivedAt = now()
      await exclusively(async () => {
        await watched.read()
        await watched.write(newSession(checked, receivedAt, storage))
      })
    },

    async logOut () {
      const ended = await exclusively(async () => {
        const session = await watched.read()
        await watched.remove()
        return session
      })
      if (ended === null) return
      const backoff = createBackoff(now)
      await backoff.repeat(async () => {
        // `keepalive`: the request goes on when the page is closed.
        const answer = await post(fetch, logoutUrl, { deviceId, refreshToken: ended.refreshToken }, timeout, { keepalive: true })
        if (answer.status === 204) return true
        if (isRefusal(answer)) throw unavailable()
        backoff.failed(answer.retryAfter)
        return undefined
      }, retryFor)
    },

    async getProfile () {
      return profileOf(await watched.read())
    },

    async getAccessToken (refused) {
      const session = await current()
      return session.token === refused ? (await refresh(session, retryFor)).token : session.token
    },

    async fetch (input, init) {
      const send = async ({ token }: StoredSession, request: typeof input): Promise<Response> => {
        const headers = new Headers(init?.headers ?? (isRequest(request) ? request.headers : undefined))
        headers.set('Authorization', `Bearer ${token}`)
        return await fetch(request, { ...init, headers })
      }
      const session = await current()
      const response = await send(session, isRequest(input) ? input.clone() : input)
      if (response.status !== 401 || isStream(init?.body)) return response
      const next = await refresh(session, retryFor)
      // Another user has logged in meanwhile: the request must not be sent for that user.
      if (next.id !== session.id) throw loggedOut()
      await response.body?.cancel()
      return await send(next, input)
    },

    subscribe: watched.subscribe
  }
}

/** By its shape, because polyfills and tests have a `Request` of their own. */
const isRequest = (input: unknown): input is Request => typeof (input as Request).clone === 'function'

const isStream = (body: unknown): boolean => typeof (body as ReadableStream | undefined)?.getReader === 'function'
