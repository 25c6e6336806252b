/** The documented answer of a log-in and of a refresh. */
export interface Tokens {
  id: number | string
  email: string
  role: string
  /** The access token. */
  token: string
  refreshToken: string
}

/** The value in the storage, as JSON. */
export interface StoredSession extends Tokens {
  /** When the access token was requested or `logIn` called: Unix milliseconds, this device's clock. */
  receivedAt?: number
  /** The `Idempotency-Key` for this refresh token: stored with the first attempt, or with the token where tabs have no locks. */
  key?: string
}

/** Returns the five documented keys of an answer; `undefined` for any other answer. */
export function readTokens (answer: unknown): Tokens | undefined {
  const { id, email, role, token, refreshToken } = (answer ?? {}) as Record<string, unknown>
  const areTexts = [email, role, token, refreshToken].every(value => typeof value === 'string') && token !== '' && refreshToken !== ''
  return areTexts && ['number', 'string'].includes(typeof id) ? { id, email, role, token, refreshToken } as Tokens : undefined
}

/** Returns the stored session; `null` when nothing is stored, or something else. */
export function parseStored (text: string | null | undefined): StoredSession | null {
  const stored = parseJson(text ?? 'null') as StoredSession | null
  return readTokens(stored) === undefined ? null : stored
}

/** Returns the value of a JSON text; `undefined` for any other text. */
export function parseJson (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

interface Claims { iat?: number, exp?: number, sid?: string }

/** The claims of a JWT, unverified; `{}` when it is none. */
export function claimsOf (token: string): Claims {
  try {
    // atob knows no UTF-8 and may garble text claims. The claims read here are ASCII.
    return JSON.parse(atob(token.split('.')[1]!.replaceAll('-', '+').replaceAll('_', '/')))
  } catch {
    return {}
  }
}

/**
 * Returns for how long the access token is still valid, and its whole lifetime, in milliseconds. The server's clock counts: the token's
 * `iat` and the `receivedAt` of this device are the same moment. NaN for a token without these claims: it is valid until an API refuses it.
 */
export function lifetimeOf ({ token, receivedAt }: StoredSession, now: number): { left: number, whole: number } {
  const { iat, exp } = claimsOf(token)
  const whole = (exp! - iat!) * 1000
  return { left: (receivedAt ?? iat! * 1000) + whole - now, whole }
}
