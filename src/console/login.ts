import { createHmac, timingSafeEqual } from 'node:crypto'
import { createCallers } from '#src/http/callers'
import type { ApiKey } from '#src/settings/api-keys'

export const COOKIE = 'console'

/** Seconds after which people log in again. */
export const LIFETIME = 12 * 3600

/** A person who has logged in with a key. */
export interface Login {
  /** The name of the key, for the audit trail. */
  caller: string
  /** Unix seconds. */
  expiresAt: number
}

/** Cookies that every replica checks without a store: a MAC by the API key itself, so that a removed key ends its cookies. */
export interface Logins {
  /** Returns the value of the cookie, or `undefined` unless the key has the scope `console`. */
  logIn (key: string): string | undefined
  /** Returns the log-in of a cookie, or `undefined` if it is forged or expired. */
  read (cookie: string | undefined): Login | undefined
}

/** `now` is in Unix milliseconds. */
export function createLogins (keys: ApiKey[], now = Date.now): Logins {
  const admitted = keys.filter(({ scopes }) => scopes.includes('console'))
  const findCaller = createCallers(admitted)

  function mac (key: string, text: string): Buffer {
    return createHmac('sha256', key).update(`refresh-token-service console: ${text}`).digest()
  }

  return {
    logIn (key) {
      const caller = findCaller(key)
      if (caller === undefined) return undefined
      const text = `${caller.name}.${Math.floor(now() / 1000) + LIFETIME}`
      return `${text}.${mac(key, text).toString('base64url')}`
    },

    read (cookie = '') {
      const [, text, caller, expiry, code] = /^(([a-z0-9-]+)\.(\d{1,12}))\.([\w-]{43})$/.exec(cookie) ?? []
      if (text === undefined || Number(expiry) <= now() / 1000) return undefined
      const presented = Buffer.from(code!, 'base64url')
      const isAuthentic = admitted.some(({ name, key }) => name === caller && timingSafeEqual(mac(key, text), presented))
      return isAuthentic ? { caller: caller!, expiresAt: Number(expiry) } : undefined
    }
  }
}

/**
 * Whether a page of the console sent the form, and no other site (cross-site request forgery). Browsers send one of the headers with every
 * form, and no script can set them.
 */
export function isSameOrigin (headers: { [name: string]: string | string[] | undefined }): boolean {
  const { origin, host, 'sec-fetch-site': site } = headers
  if (site !== undefined) return site === 'same-origin'
  return typeof origin === 'string' && URL.canParse(origin) && new URL(origin).host === host
}
