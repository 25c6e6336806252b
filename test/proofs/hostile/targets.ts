import { apiKey, type TokensBody } from '../../support/helper.ts'
import { exchange, JSON_TYPE, refreshing, request } from './wire.ts'

/** Live sessions: those that attacks aim at and must not harm, and those of clients who are odd, but right. */

/** Where the service listens, and the secrets that it signs with: some attackers have them. */
export interface Place {
  public: number
  internal: number
  refreshSecret: string
  accessSecret: string
}

/** A session that its client left alone. */
export interface Bystander {
  userId: number
  deviceId: string
  /** Its access token. */
  token: string
  /** The one that its client holds. */
  refreshToken: string
  /** Those before it. */
  ancestors: string[]
}

/** A session of an odd client, one request at a time. */
export interface Own { userId: number, deviceId: string, refreshToken: string }

export interface Targets extends Pick<Place, 'refreshSecret' | 'accessSecret'> {
  bystanders: Bystander[]
  /** Takes a session that nobody else uses until it is given back. */
  take (): Own
  giveBack (own: Own): void
}

/** What clients call themselves: text that some comparison, encoding or copy could take for another. */
export const devices = [
  'Unique key', 'caf\u00e9', 'cafe\u0301', 'stra\u00dfe', '\u0130stanbul', 'a\u0000b', '\ud83d\udc69\u200d\ud83d\udcbb',
  '\u05e9\u05dc\u05d5\u05dd', '{"a":1}', 'a:b:c:d', '$(id)', '../../etc/passwd',
  '%00', '\\', '"', ' padded ', '\u202eabc', 'x'.repeat(255), '\ud83d\ude00'.repeat(255), '__proto__', '\n', '\ufeffa', '\uffff', '\ufffd'
].map(text => /\S/.test(text) ? text : `${text}a`)

const SESSIONS = 2 * devices.length

/** One request on a connection of its own, and its answer. */
export async function call (port: number, bytes: Buffer): Promise<{ status: number, body: string }> {
  const [answer] = await exchange(port, { pieces: [bytes], then: 'answers' })
  return answer!
}

/** The documented request. @throws when it is not answered 200. */
export async function refresh (port: number, { deviceId, refreshToken }: Pick<Own, 'deviceId' | 'refreshToken'>): Promise<TokensBody> {
  const { status, body } = await call(port, refreshing({ deviceId, refreshToken }))
  if (status !== 200) throw new Error(`refresh: ${status} ${body}`)
  return JSON.parse(body)
}

async function open (place: Place, userId: number, deviceId: string): Promise<TokensBody> {
  const session = { userId, deviceId, email: 'guest@keygenqt.com', role: 'GUEST' }
  const lines = [JSON_TYPE, `Authorization: Bearer ${apiKey}`]
  const { status, body } = await call(place.internal, request('POST', '/internal/sessions', lines, JSON.stringify(session)))
  if (status !== 201) throw new Error(`open: ${status} ${body}`)
  return JSON.parse(body)
}

/** Opens them all; bystanders are left at their first, second, third or fourth generation. */
export async function openTargets (place: Place): Promise<Targets> {
  const bystanders: Bystander[] = []
  const own: Own[] = []
  for (let i = 0; i < SESSIONS; i++) {
    const deviceId = devices[i % devices.length]!
    const [userId, ancestors] = [i + 1, [] as string[]]
    let tokens = await open(place, userId, deviceId)
    for (let generation = 1; generation <= i % 4; generation++) {
      ancestors.push(tokens.refreshToken)
      tokens = await refresh(place.public, { deviceId, refreshToken: tokens.refreshToken })
    }
    bystanders.push({ userId, deviceId, token: tokens.token, refreshToken: tokens.refreshToken, ancestors })
    const { refreshToken } = await open(place, 1000 + userId, deviceId)
    own.push({ userId: 1000 + userId, deviceId, refreshToken })
  }
  const { refreshSecret, accessSecret } = place
  return { bystanders, refreshSecret, accessSecret, take: () => own.shift()!, giveBack: session => { own.push(session) } }
}

/** Another device than that of the session. */
export const otherDevice = ({ deviceId }: Bystander): string => `not ${deviceId}`.slice(0, 200)
