// Clients that refresh all the time and repeat nothing: any answer but 200 counts as failed. Prints "running" when every client has
// refreshed once, a summary at SIGTERM, and exits with 1 if a refresh failed.

/** Milliseconds between two refreshes of a client: failures must come from the update, not from a small machine's load. */
const PAUSE = 50

const { PUBLIC_URL, INTERNAL_URL, API_KEY, CLIENTS = '20' } = process.env
const end = new AbortController()
let refreshed = 0
let failed = 0

async function post (url, body, headers = {}) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(10_000)
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${new URL(url).pathname} was answered ${response.status}`)
  return JSON.parse(text)
}

async function open (userId) {
  const { refreshToken } = await post(`${INTERNAL_URL}/internal/sessions`, { userId, email: 'load@example.com', role: 'LOAD', deviceId: 'load' }, {
    authorization: `Bearer ${API_KEY}`
  })
  return refreshToken
}

async function refresh (refreshToken) {
  return (await post(`${PUBLIC_URL}/api/ps/refresh`, { deviceId: 'load', refreshToken })).refreshToken
}

/** One client: after a failed refresh it keeps its token, as every client should. */
async function client (token) {
  while (!end.signal.aborted) {
    try {
      token = await refresh(token)
      refreshed++
    } catch (err) {
      failed++
      console.error(`${err.message}${err.cause === undefined ? '' : `: ${err.cause.message}`}`)
    }
    await new Promise(resolve => setTimeout(resolve, PAUSE))
  }
}

process.on('SIGTERM', () => end.abort())
const opened = await Promise.all(Array.from({ length: Number(CLIENTS) }, (_, i) => open(i + 1)))
const tokens = await Promise.all(opened.map(refresh))
console.log('running')
await Promise.all(tokens.map(client))
console.log(`${refreshed} refreshes, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
