import { parseJson } from './tokens.ts'

/** A response; `status` 0 without a whole response in time. */
export interface Answer {
  status: number
  /** The parsed JSON; `undefined` for anything else. */
  body?: unknown
  /** Milliseconds. */
  retryAfter: number
}

/** Milliseconds: a longer `Retry-After` counts as this. */
const MAX_RETRY_AFTER = 300_000

/** Sends JSON and reads the whole answer within `timeout` milliseconds. Follows no redirect, so that no other address gets the token. */
export async function post (
  send: typeof fetch, url: string, body: object, timeout: number, init: RequestInit = {}
): Promise<Answer> {
  const late = new AbortController()
  const timer = setTimeout(() => { late.abort() }, timeout)
  try {
    const response = await send(url, {
      ...init,
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...init.headers as Record<string, string> },
      body: JSON.stringify(body),
      redirect: 'error',
      signal: late.signal
    })
    return {
      status: response.status,
      body: parseJson(await response.text()),
      // Only of seconds, because a date would need the server's clock.
      retryAfter: Math.min(Number(response.headers.get('Retry-After')) * 1000 || 0, MAX_RETRY_AFTER)
    }
  } catch {
    return { status: 0, retryAfter: 0 }
  } finally {
    clearTimeout(timer)
  }
}

/** True for the one documented answer to a refused token, and for no other 400, such as that of a proxy. */
export function isRefusal ({ status, body }: Answer): boolean {
  const { code, message, ...others } = (body ?? {}) as Record<string, unknown>
  return status === 400 && code === 400 && message === 'Bad Request' && Object.keys(others).length === 0
}
