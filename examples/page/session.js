// One session for all tabs of this browser. It is in localStorage, which all tabs share and every script of this origin can
// read: an injected script (XSS) could steal the tokens. Hence the page's Content-Security-Policy, and no foreign scripts.
// For more protection, a product keeps the refresh token in an HttpOnly cookie of its own server, which refreshes for the page.
const { localStorage, location } = window

/** There is no session, or it has ended: the user must log in. */
export class LogInNeeded extends Error {
  constructor (message = 'Please log in.') { super(message) }
}

/** The server gave no clear answer, so the session stays as it is. */
export class TryLater extends Error {
  constructor () { super('No answer just now. Please try again.') }
}

/** Milliseconds to wait for an answer, and before retrying a refresh without one. */
const [TIMEOUT, PAUSE] = [5000, 2000]

/** `{ id, email, role, token, refreshToken }`, or `null`; from the start of a refresh to its answer also `key`. */
export const session = () => JSON.parse(localStorage.getItem('session'))

/** The browser sends a `storage` event to other tabs; this function sends it to this tab. */
function save (value) {
  if (value === null) localStorage.removeItem('session')
  else localStorage.setItem('session', JSON.stringify(value))
  window.dispatchEvent(new Event('storage'))
  return value
}

/** Runs one action at a time across all tabs. Every change of the session runs in it, so that none overwrites another. */
const exclusively = action => navigator.locks.request('session', action)

/** Returns status and body; status 0 when there is no answer, or no JSON. */
async function post (path, body, extra) {
  try {
    const headers = { 'Content-Type': 'application/json', ...extra }
    const response = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body), signal: AbortSignal.timeout(TIMEOUT) })
    return { status: response.status, body: await response.json() }
  } catch {
    return { status: 0 }
  }
}

// Another tab may have refreshed while this one waited for the lock: then its session is the result. The key is stored before
// it is sent: if the answer is lost, the same token with the same key gets the new tokens once more, even days later.
const refresh = stale => exclusively(async () => {
  const current = session()
  if (current?.id !== stale.id) throw new LogInNeeded()
  if (current.token !== stale.token) return current
  const { refreshToken, key } = current.key ? current : save({ ...current, key: crypto.randomUUID() })
  const { status, body } = await post('/api/ps/refresh', { deviceId: localStorage.deviceId, refreshToken }, { 'Idempotency-Key': key })
  if (status === 200) return save(body)
  if (status !== 400) throw new TryLater()
  save(null)
  throw new LogInNeeded()
})

let refreshing, again

/** All calls of this tab share one attempt. An attempt without an answer is retried, in case only the answer was lost. */
function refreshOnce (stale) {
  clearTimeout(again)
  refreshing ??= refresh(stale).catch(err => {
    if (err instanceof TryLater) again = setTimeout(() => refreshOnce(stale).catch(() => {}), PAUSE)
    throw err
  }).finally(() => { refreshing = undefined })
  return refreshing
}

/**
 * `fetch` for a path of this origin, with the session's access token. On 401 it refreshes and repeats the request once, so
 * the body must be sendable twice. Headers are a plain object.
 * @throws LogInNeeded, TryLater
 */
export async function call (path, options = {}) {
  const send = ({ token }) =>
    fetch(location.origin + path, { ...options, headers: { ...options.headers, Authorization: `Bearer ${token}` } })
  const current = session()
  if (current === null) throw new LogInNeeded()
  const response = await send(current)
  return response.status === 401 ? await send(await refreshOnce(current)) : response
}

/** @throws LogInNeeded when e-mail or password is wrong, TryLater */
export async function logIn (email, password) {
  await exclusively(async () => {
    localStorage.deviceId ??= crypto.randomUUID()
    const { status, body } = await post('/login', { email, password, deviceId: localStorage.deviceId })
    if (status === 401) throw new LogInNeeded('Wrong e-mail or password.')
    if (status !== 200) throw new TryLater()
    save(body)
  })
}

/** Ends the session on the server, and deletes its tokens in every tab even if the server can't be reached. */
export async function logOut () {
  await exclusively(async () => {
    const current = session()
    if (current !== null) await post('/api/ps/logout', { deviceId: localStorage.deviceId, refreshToken: current.refreshToken })
    save(null)
  })
}
