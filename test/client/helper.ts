import type { Test } from 'tap'
import { memoryStorage, createSession, type Session, type SessionOptions, type StoredSession, type Tokens, type TokenStorage } from '../../packages/client/src/index.ts'

/** A refresh service and an API behind one `fetch`. Its clock is set by the test. */

export const REFRESH = 'https://auth.example/api/ps/refresh'
export const API = 'https://api.example/me'

/** Seconds. */
export const TTL = 900

/** Node 24 has Web Locks and earlier versions have none; the test of each decides. */
const platform = {}
Object.defineProperty(globalThis, 'navigator', { value: platform, configurable: true })

/** Gives the platform a lock manager until the test ends. */
export function useLocks (
  t: Test, request: (name: string, options: { signal: AbortSignal }, action: () => Promise<unknown>) => Promise<unknown>
): void {
  Object.assign(platform, { locks: { request } })
  t.teardown(() => { Object.assign(platform, { locks: undefined }) })
}

export interface Request { url: string, init: RequestInit, headers: Headers, body: any }

/** An answer of the service in place of its own; throw for a network that breaks. */
export type Answer = (request: Request) => Response | Promise<Response>

export interface World {
  fetch: typeof fetch
  /** Milliseconds by the server's clock. */
  now: number
  /** Number of rotations so far, plus 1. */
  gen: number
  /** The tokens of the current generation. */
  tokens (overrides?: Partial<Tokens>): Tokens
  /** Makes every access token so far invalid at the API. */
  expire (): void
  /** Answers to the next refreshes and log-outs; after them the service answers itself. */
  answers: Answer[]
  /** Requests to the service so far: refreshes and log-outs. */
  sent: Request[]
  /** Requests to the API so far. */
  called: Request[]
}

export const json = (body: unknown, status = 200, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify(body), { status, headers: { 'Content-Type': 'application/json', ...headers } })

export const refused = (): Response => json({ code: 400, message: 'Bad Request' }, 400)
export const internalError = (): Response => json({ code: 500, message: 'Internal Error' }, 500)

export function createWorld (): World {
  let accepted: string | undefined
  let serial = 0
  const jwt = (claims: object): string => `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.`
  const world: World = {
    now: 1_800_000_000_000,
    gen: 1,
    answers: [],
    sent: [],
    called: [],
    tokens (overrides) {
      const iat = Math.floor(world.now / 1000)
      accepted = jwt({ iat, exp: iat + TTL, serial: ++serial })
      return { id: 1, email: 'guest@keygenqt.com', role: 'GUEST', token: accepted, refreshToken: jwt({ sid: 'session', gen: world.gen }), ...overrides }
    },
    expire () { accepted = undefined },
    fetch: async (input, init = {}) => {
      const url = input instanceof Request ? input.url : String(input)
      const headers = new Headers(init.headers)
      const text = input instanceof Request ? await input.text() : init.body
      const body = typeof text === 'string' && text.startsWith('{') ? JSON.parse(text) : text
      const request = { url, init, headers, body }
      init.signal?.throwIfAborted()
      if (!url.startsWith('https://auth.example/')) {
        world.called.push(request)
        return headers.get('Authorization') === `Bearer ${accepted}` ? json({ ok: true }) : json({}, 401)
      }
      world.sent.push(request)
      const answer = world.answers.shift()
      if (answer !== undefined) return await answer(request)
      if (url.endsWith('/logout')) return new Response(null, { status: 204 })
      world.gen++
      return json(world.tokens())
    }
  }
  return world
}

export interface LoggedIn { session: Session, storage: TokenStorage, stored (): Promise<StoredSession | null> }

/** A session of the world, logged in unless the storage is given. `retryFor` is 0 unless given. */
export async function logIn (world: World, options: Partial<SessionOptions> = {}): Promise<LoggedIn> {
  const storage = options.storage ?? memoryStorage()
  const session = createSession({ refreshUrl: REFRESH, deviceId: 'Unique key', storage, fetch: world.fetch, now: () => world.now, retryFor: 0, ...options })
  if (options.storage === undefined) await session.logIn(world.tokens())
  return { session, storage, stored: async () => JSON.parse(await storage.get() ?? 'null') }
}

/** The code of the error that a promise rejects with; the error itself when it has none, `undefined` when it resolves. */
export async function codeOf (promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(() => undefined, err => err.code ?? err)
}

/**
 * Runs work whose timers are the test's: whenever nothing else is left to do, time jumps to the next timer. Returns the
 * result and the milliseconds that have passed by `world.now`.
 */
export async function passTime<T> (world: World, work: () => Promise<T>): Promise<{ result: T, passed: number }> {
  const { setTimeout, clearTimeout } = globalThis
  const timers = new Map<number, { due: number, fire: () => void }>()
  let ids = 0
  const start = world.now
  Object.assign(globalThis, {
    setTimeout: (fire: () => void, ms: number) => {
      timers.set(++ids, { due: world.now + ms, fire })
      return ids
    },
    clearTimeout: (id: number) => { timers.delete(id) }
  })
  try {
    const state = { isDone: false }
    const running = work().finally(() => { state.isDone = true })
    running.catch(() => {})
    while (!state.isDone) {
      // Every promise of the fake fetch resolves before this.
      for (let i = 0; i < 10; i++) await new Promise(resolve => { setImmediate(resolve) })
      const [next] = [...timers].sort(([, a], [, b]) => a.due - b.due)
      if (state.isDone || next === undefined) continue
      const [id, { due, fire }] = next
      timers.delete(id)
      world.now = Math.max(world.now, due)
      fire()
    }
    return { result: await running, passed: world.now - start }
  } finally {
    Object.assign(globalThis, { setTimeout, clearTimeout })
  }
}
