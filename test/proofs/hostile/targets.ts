import type { UserId } from '#src/tokens/user-id'
import { apiKey, type TokensBody } from '../../support/helper.ts'
import { owner } from './holder.ts'
import { exchange, JSON_TYPE, refreshing, request } from './wire.ts'

/** Live sessions: bystanders, which attacks aim at and must not harm, and sessions of unusual but valid clients. */

/** The service's ports, and its secrets, which some attackers know. */
export interface Place {
  public: number
  internal: number
  refreshSecret: string
  accessSecret: string
}

/** A session that its client does not use during the attacks. */
export interface Bystander {
  userId: UserId
  deviceId: string
  /** The access token. */
  token: string
  /** The current refresh token. */
  refreshToken: string
  /** The earlier refresh tokens. */
  ancestors: string[]
}

/** A session of an unusual client, used by one request at a time. */
export interface Own { userId: UserId, deviceId: string, refreshToken: string, jkt?: string | undefined }

export interface Targets extends Pick<Place, 'refreshSecret' | 'accessSecret'> {
  bystanders: Bystander[]
  /** Bystanders whose sessions are bound to the key of `owner`. */
  bound: Bystander[]
  /** Users of sessions that attacks refresh. */
  odd: Set<UserId>
  /** Reserves a session until `giveBack`. */
  take (): Own
  /** As `take`, for a session that is bound to the key of `owner`. */
  takeBound (): Own
  giveBack (own: Own): void
}

/** Device ids that some comparison, encoding or copy could confuse. */
export const devices = [
  'Unique key', 'caf\u00e9', 'cafe\u0301', 'stra\u00dfe', '\u0130stanbul', 'a\u0000b', '\ud83d\udc69\u200d\ud83d\udcbb',
  '\u05e9\u05dc\u05d5\u05dd', '{"a":1}', 'a:b:c:d', '$(id)', '../../etc/passwd',
  '%00', '\\', '"', ' padded ', '\u202eabc', 'x'.repeat(255), '\ud83d\ude00'.repeat(255), '__proto__', '\n', '\ufeffa', '\uffff', '\ufffd'
].map(text => /\S/.test(text) ? text : `${text}a`)

const SESSIONS = 2 * devices.length

/** Sends one request on a new connection, and returns its answer. */
export async function call (port: number, bytes: Buffer): Promise<{ status: number, body: string }> {
  const [answer] = await exchange(port, { pieces: [bytes], then: 'answers' })
  return answer!
}

/** Sends the documented refresh request. @throws if the status is not 200. */
export async function refresh (port: number, { deviceId, refreshToken }: Pick<Own, 'deviceId' | 'refreshToken'>): Promise<TokensBody> {
  const { status, body } = await call(port, refreshing({ deviceId, refreshToken }))
  if (status !== 200) throw new Error(`refresh: ${status} ${body}`)
  return JSON.parse(body)
}

async function open (place: Place, userId: UserId, deviceId: string, jkt?: string): Promise<TokensBody> {
  const session = { userId, deviceId, email: 'guest@keygenqt.com', role: 'GUEST', jkt }
  const lines = [JSON_TYPE, `Authorization: Bearer ${apiKey}`]
  const { status, body } = await call(place.internal, request('POST', '/internal/sessions', lines, JSON.stringify(session)))
  if (status !== 201) throw new Error(`open: ${status} ${body}`)
  return JSON.parse(body)
}

/** Numbers of the first users whose sessions an unusual client uses, and of the first ones with a key. */
const [OWN, BOUND, BOUND_OWN] = [1001, 2001, 3001]

const BOUND_SESSIONS = 24

/** Users with integers and with texts as ids, in turn. */
const nameOf = (n: number): UserId => n % 2 === 0 ? n : `user_${n}`

/** Opens all sessions; each bystander ends at generation one, two, three or four. */
export async function openTargets (place: Place): Promise<Targets> {
  const bystanders: Bystander[] = []
  const own: Own[] = []
  for (let i = 0; i < SESSIONS; i++) {
    const deviceId = devices[i % devices.length]!
    const [userId, ancestors] = [nameOf(i + 1), [] as string[]]
    let tokens = await open(place, userId, deviceId)
    for (let generation = 1; generation <= i % 4; generation++) {
      ancestors.push(tokens.refreshToken)
      tokens = await refresh(place.public, { deviceId, refreshToken: tokens.refreshToken })
    }
    bystanders.push({ userId, deviceId, token: tokens.token, refreshToken: tokens.refreshToken, ancestors })
    own.push(await openOwn(place, nameOf(OWN + i), deviceId))
  }
  const bound: Bystander[] = []
  const boundOwn: Own[] = []
  for (let i = 0; i < BOUND_SESSIONS; i++) {
    const [userId, deviceId] = [nameOf(BOUND + i), devices[i % devices.length]!]
    const { token, refreshToken } = await open(place, userId, deviceId, owner.jkt)
    bound.push({ userId, deviceId, token, refreshToken, ancestors: [] })
    boundOwn.push(await openOwn(place, nameOf(BOUND_OWN + i), deviceId, owner.jkt))
  }
  const { refreshSecret, accessSecret } = place
  return {
    bystanders,
    bound,
    odd: new Set([...own, ...boundOwn].map(({ userId }) => userId)),
    refreshSecret,
    accessSecret,
    take: () => own.shift()!,
    takeBound: () => boundOwn.shift()!,
    giveBack: session => { (session.jkt === undefined ? own : boundOwn).push(session) }
  }
}

async function openOwn (place: Place, userId: UserId, deviceId: string, jkt?: string): Promise<Own> {
  const { refreshToken } = await open(place, userId, deviceId, jkt)
  return { userId, deviceId, refreshToken, jkt }
}

/** A device id other than the session's. */
export const otherDevice = ({ deviceId }: Bystander): string => `not ${deviceId}`.slice(0, 200)
