import { DEVICE_ID, secrets, type OurService } from '../harness/contenders.ts'

/** A user's id and current refresh token. */
export interface Holder {
  userId: number
  refreshToken: string
}

/** Result of a refresh: done, failed (any status but 200 and 400, or no answer), or the session is over. */
export type Outcome = 'done' | 'failed' | 'over'

/** Milliseconds after which a client stops waiting: twice the promised time. */
const TIMEOUT = 2000

/** Requests of clients and of a login service; each goes to the next replica. */
export interface Requests {
  /** Refreshes, and stores the new token in the holder. */
  refresh (holder: Holder): Promise<Outcome>
  open (userId: number): Promise<Holder | undefined>
  logOut (holder: Holder): Promise<boolean>
}

export function createRequests (replicas: OurService[]): Requests {
  const publicUrls = replicas.map(({ urls: [url] }) => url!)
  const internalUrls = replicas.map(({ internalUrl }) => internalUrl)
  let turn = 0
  const send = async (urls: string[], method: string, path: string, body?: object): Promise<Response | undefined> => {
    const json = body === undefined ? {} : { 'content-type': 'application/json' }
    return await fetch(`${urls[turn++ % urls.length]}${path}`, {
      method,
      headers: { authorization: `Bearer ${secrets.apiKey}`, ...json },
      signal: AbortSignal.timeout(TIMEOUT),
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    }).catch(() => undefined)
  }
  const tokenOf = async (response: Response): Promise<string> => (await response.json() as Holder).refreshToken

  return {
    async refresh (holder) {
      const response = await send(publicUrls, 'POST', '/api/ps/refresh', { deviceId: DEVICE_ID, refreshToken: holder.refreshToken })
      if (response?.status === 200) holder.refreshToken = await tokenOf(response)
      else await response?.arrayBuffer()
      return response?.status === 200 ? 'done' : response?.status === 400 ? 'over' : 'failed'
    },
    async open (userId) {
      const profile = { email: `user${userId}@example.com`, role: 'GUEST' }
      const response = await send(internalUrls, 'POST', '/internal/sessions', { userId, deviceId: DEVICE_ID, ...profile })
      if (response?.status === 201) return { userId, refreshToken: await tokenOf(response) }
      await response?.arrayBuffer()
      return undefined
    },
    async logOut ({ userId }) {
      return (await send(internalUrls, 'DELETE', `/internal/users/${userId}/sessions`))?.status === 204
    }
  }
}
