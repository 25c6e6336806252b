import { setTimeout as delay } from 'node:timers/promises'

/** Clients of the replicas, each a person with one device who refreshes as soon as a pause is over. */

export interface Replica {
  publicUrl: string
  internalUrl: string
}

export interface Load {
  users: User[]
  /** Sends a token that its client has used up long ago. */
  replayOldToken (user: User): Promise<void>
  logOut (user: User): Promise<void>
  /** Stops every client when its request is over. */
  stop (): Promise<void>
}

export interface User {
  id: number
  /** None when there is none to refresh: the user logs in. */
  token: string | undefined
  /** The first of the session. */
  first: string | undefined
}

/** Milliseconds between two requests of a client, at the most. */
const PAUSE = 250

const tokens = async (response: Response): Promise<{ refreshToken?: string }> => await response.json() as object

export function startLoad (replicas: Replica[], apiKey: string, count: number): Load {
  let turn = 0
  let requests = 0
  const next = (): Replica => replicas[turn++ % replicas.length]!
  const send = async (method: string, url: string, body?: object): Promise<Response> => await fetch(url, {
    method,
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${apiKey}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
  const refresh = async (refreshToken: string, deviceId = 'device'): Promise<Response> =>
    await send('POST', `${next().publicUrl}/api/ps/refresh`, { deviceId, refreshToken })

  async function logIn (user: User): Promise<void> {
    const body = { userId: user.id, email: 'guest@keygenqt.com', role: 'GUEST', deviceId: 'device' }
    // A 500 has no token: the user tries again.
    const { refreshToken } = await tokens(await send('POST', `${next().internalUrl}/internal/sessions`, body))
    user.token = user.first = refreshToken
  }

  async function use (user: User, token: string): Promise<void> {
    // A few answers are lost, a few requests are somebody else's.
    const nth = requests++ % 200
    if (nth < 6) await refresh(token)
    else if (nth < 8) await refresh(token, 'another')
    else if (nth === 8) await refresh(`${token}x`)
    const response = await refresh(token)
    const { refreshToken } = await tokens(response)
    // A 500 means: keep the token. Everything else has the next one, or none.
    if (response.status !== 500) user.token = refreshToken
  }

  const end = new AbortController()
  const live = async (user: User): Promise<void> => {
    while (!end.signal.aborted) {
      await delay(Math.random() * PAUSE)
      await (user.token === undefined ? logIn(user) : use(user, user.token))
    }
  }
  const users = Array.from({ length: count }, (_, i): User => ({ id: i + 1, token: undefined, first: undefined }))
  const lives = users.map(live)
  return {
    users,
    async replayOldToken ({ first }) { await refresh(first!) },
    async logOut ({ id }) { await send('DELETE', `${next().internalUrl}/internal/users/${id}/sessions`) },
    async stop () {
      end.abort()
      await Promise.all(lives)
    }
  }
}
