import { AuthenticatedAhead, LoggedOutSince, StoreUnavailable } from '#src/errors'
import { withoutArguments } from '#src/log/redact'
import type { Generation } from '#src/tokens/claims'
import { readClaims, type Claims } from '#src/tokens/custom-claims'
import type { UserId } from '#src/tokens/user-id'
import type { ScriptName } from './scripts.ts'

/** The user's data that a refresh returns beside the tokens; '' for a value that the login service has not given. */
export interface Profile {
  email: string
  role: string
}

/** A session's current generation, and Redis's clock in Unix seconds when it was read. */
export interface LiveSession {
  generation: Generation
  profile: Profile
  /** Claims of the user and the session; absent if the record has none. */
  claims?: Claims
  binding?: Binding
  now: number
}

/** The client and the key that a session is bound to, if there are any. */
export interface Binding {
  /** OAuth client. */
  clientId?: string
  /** The thumbprint of the key that every refresh must prove. */
  jkt?: string
}

/**
 * Every way a refresh can end.
 * - `rotated`: the next generation exists now.
 * - `retried`: the current token is repeated, not rotated.
 * - `recovered`: Redis had lost writes; rotation continues from the generation that the signature proves.
 * - `unknown`: no such session. `device_mismatch`: the session of another device; `client_mismatch`: of another client;
 *   `key_mismatch`: bound to a key that the request does not prove. `expired`: expired, and removed.
 * - `reused`: an older token came back, so two parties hold it: the session is ended (RFC 9700 section 4.14.2);
 *   `unconfirmed` if too few replicas have the removal.
 */
export type Rotation =
  | { outcome: 'rotated' | 'retried' | 'recovered', session: LiveSession }
  | { outcome: 'unknown' | 'device_mismatch' | 'client_mismatch' | 'key_mismatch' | 'expired' | 'reused', unconfirmed?: boolean }

/** One row of the list of a user's sessions; times in Unix seconds. */
export interface SessionSummary {
  sid: string
  label: string | null
  gen: number
  createdAt: number
  rotatedAt: number
  expiresAt: number
}

/**
 * How the log-out by a client ends.
 * - `ended`: the session has ended now. `absent`: it had ended or expired before.
 * - `device_mismatch`, `client_mismatch`: the session of another device or client, which lives on.
 */
export type LogOut = 'ended' | 'absent' | 'device_mismatch' | 'client_mismatch'

/** Everything that is stored about a user. */
export interface StoredUser {
  /** Every field of the record, as docs/validating-over-redis.md describes it. */
  record: Record<string, string>
  /** The live sessions of the record. */
  sessions: SessionSummary[]
}

/** A live session as it stands; times in Unix seconds, `now` is Redis's clock when it was read. */
export interface FoundSession extends Profile, Binding {
  claims: Claims
  gen: number
  createdAt: number
  rotatedAt: number
  expiresAt: number
  now: number
}

/** A session of a refresh token that may be used now. */
export interface RefreshableSession {
  session: FoundSession
  /** When the token stops being usable, unless the session changes before; Unix seconds by Redis's clock. */
  refreshableUntil: number
}

/** Reasons for the end of a session, as announced to subscribers. */
export const endReasons = ['logout', 'reuse', 'replaced', 'evicted', 'expired'] as const

export type EndReason = typeof endReasons[number]

/** A reply of a script on a record: a word, Redis's clock in Unix milliseconds, and what the script's header documents. */
export type Reply = [word: string, nowMs: number, ...rest: unknown[]]

/** `NotReplicated` with the reply of the script. */
export interface UnreplicatedError extends Error { reply: Reply }

/** The sessions that a script ended. */
type Ended = Array<[reason: EndReason, sid: string]>

/** The part of a command that its reply does not repeat. */
export interface Call {
  script: ScriptName
  /** The user of each record. */
  users: UserId[]
  /** The name of the caller's API key, or `CLIENT`. */
  caller: string
}

/** Whether the script ran after its deadline and did nothing. */
export function isLate ([word]: Reply): boolean {
  return word === 'late'
}

/**
 * The reply of open.lua. The profile comes from the record.
 * @throws LoggedOutSince, AuthenticatedAhead when the script opened no session.
 */
export function toOpened (
  reply: Reply, { userId: id, sessionClaims, clientId, jkt }: { userId: UserId, sessionClaims?: Claims } & Binding, sid: string
): LiveSession {
  if (reply[0] === 'logged_out') throw new LoggedOutSince()
  if (reply[0] === 'ahead') throw new AuthenticatedAhead()
  const [, nowMs, gen, iat, exp, email, role] = reply as [string, number, number, number, number, string, string]
  const claims = claimsIn(reply[7] as string, sessionClaims && JSON.stringify(sessionClaims))
  const binding = bindingIn(clientId, jkt)
  return { generation: { id, sid, gen, iat, exp }, profile: { email, role }, ...claims, ...binding, now: Math.floor(nowMs / 1000) }
}

/** One refresh in the reply of rotate.lua: its outcome, and what the script's header documents; or an error that concerns it alone. */
type Decision = Error | [
  outcome: Rotation['outcome'], gen: number, iat: number, exp: number, email: string, role: string,
  userClaims?: string, sessionClaims?: string, clientId?: string, jkt?: string, ended?: Ended
]

/** The claims in a reply; none if both texts are empty. @throws StoreUnavailable for a damaged record. */
function claimsIn (user?: string, session?: string): { claims?: Claims } {
  if (!user && !session) return {}
  try {
    return { claims: readClaims(user, session) }
  } catch {
    throw new StoreUnavailable('the claims of a record are damaged')
  }
}

/** The binding in a reply; none if both texts are empty. */
function bindingIn (clientId?: string, jkt?: string): { binding?: Binding } {
  return clientId || jkt ? { binding: { ...clientId && { clientId }, ...jkt && { jkt } } } : {}
}

/** The reply of rotate.lua: a rotation for each presentation, or `StoreUnavailable` for a damaged record. */
export function toRotations (
  [, nowMs, ...decisions]: Reply, presentations: Array<{ token: Pick<Generation, 'id' | 'sid'> }>
): Array<Rotation | Error> {
  const now = Math.floor(nowMs / 1000)
  return (decisions as Decision[]).map((decision, i) => {
    if (!Array.isArray(decision)) return new StoreUnavailable(withoutArguments(String(decision)))
    const [outcome, gen, iat, exp, email, role, userClaims, sessionClaims, clientId, jkt] = decision
    switch (outcome) {
      case 'rotated':
      case 'retried':
      case 'recovered': {
        const { token: { id, sid } } = presentations[i]!
        try {
          const claims = claimsIn(userClaims, sessionClaims)
          const binding = bindingIn(clientId, jkt)
          return { outcome, session: { generation: { id, sid, gen, iat, exp }, profile: { email, role }, ...claims, ...binding, now } }
        } catch (err) {
          return err as Error
        }
      }
      default:
        return { outcome }
    }
  })
}

/** The reply of revoke.lua to a log-out by a client. */
export function toLogOut ([word]: Reply): LogOut {
  return word === 'revoked' ? 'ended' : word as LogOut
}

/** The reply of revoke.lua: whether the session was live. */
export function toRevoked ([word]: Reply): boolean {
  return word === 'revoked'
}

/** The reply of revoke-all.lua: the ids of the sessions that were live. */
export function toRevokedIds (reply: Reply): string[] {
  return (reply[2] as Ended).filter(([reason]) => reason === 'logout').map(([, sid]) => sid)
}

/** The reply of list.lua: the live sessions, most recently used first. */
export function toSummaries (reply: Reply): SessionSummary[] {
  const rows = reply[2] as [string, string, number, number, number, number][]
  return rows.map(([sid, label, gen, createdAt, rotatedAt, expiresAt]) =>
    ({ sid, label: label === '' ? null : label, gen, createdAt, rotatedAt, expiresAt })).sort((a, b) => b.rotatedAt - a.rotatedAt)
}

/** The reply of list.lua, asked for the record; `undefined` if there is none. */
export function toStoredUser (reply: Reply): StoredUser | undefined {
  const fields = reply[3] as string[]
  if (fields.length === 0) return undefined
  const record: StoredUser['record'] = {}
  for (let i = 0; i < fields.length; i += 2) record[fields[i]!] = fields[i + 1]!
  return { record, sessions: toSummaries(reply) }
}

/** The reply of find.lua, asked with a refresh token or without. */
export function toFound (reply: Reply): RefreshableSession | undefined {
  const [word, nowMs, gen, createdAt, rotatedAt, expiresAt, email, role, refreshableUntil, userClaims, sessionClaims, clientId, jkt] =
    reply as [string, number, number, number, number, number, string, string, number, string, string, string, string]
  if (word === 'absent') return undefined
  const { claims = {} } = claimsIn(userClaims, sessionClaims)
  const { binding } = bindingIn(clientId, jkt)
  const session = { gen, createdAt, rotatedAt, expiresAt, email, role, claims, ...binding, now: Math.floor(nowMs / 1000) }
  return { session, refreshableUntil }
}

/** The reply of update-profile.lua: whether the user has a session. */
export function toUpdated ([word]: Reply): boolean {
  return word === 'updated'
}

/** The reply of claim-issuer.lua: the issuer that has the prefix. */
export function toOwner (reply: unknown): string {
  return reply as string
}

/** The reply of announce-keys.lua: the names of the keys that replicas sign with. */
export function toKeyNames (reply: unknown): string[] {
  return reply as string[]
}

/** The reply of find-imported.lua and mark-imported.lua: the user of each marker, `undefined` without a marker. */
export function toImportedUsers ([, , ...users]: Reply): Array<UserId | undefined> {
  return (users as string[]).map(user => user === '' ? undefined : JSON.parse(user))
}

/** Why a session was not written; import.lua describes each. `damaged`: the record can't be read or written. */
export type NotImported = 'expired' | 'too_old' | 'ahead' | 'logged_out' | 'full' | 'damaged'

/** `kept`: the session exists. `expiresAt`: when it ends unless it is refreshed, Unix seconds. */
export type Imported = { result: 'imported' | 'kept', expiresAt: number } | { result: NotImported }

/** The reply of import.lua: a result for each session. */
export function toImported ([, , ...results]: Reply): Imported[] {
  return (results as Array<Error | [result: Imported['result'], expiresAt?: number]>).map(reply => {
    if (!Array.isArray(reply)) return { result: 'damaged' }
    const [result, expiresAt] = reply
    return (expiresAt === undefined ? { result } : { result, expiresAt }) as Imported
  })
}

/** Whether the reply reports a new session: of open.lua, or of rotate.lua for a legacy token. */
export function isOpened ({ opens }: { opens?: string }, [word, , first]: Reply): boolean {
  return opens !== undefined && (word === 'opened' || (Array.isArray(first) && first[0] === 'rotated'))
}

/** The command and the reply of one refresh of several. */
export function decisionOf<Rotate extends Call> (
  command: Rotate, [word, nowMs, ...decisions]: Reply, i: number
): [command: Rotate, reply: Reply] {
  return [{ ...command, users: [command.users[i]!] }, [word, nowMs, decisions[i]]]
}

/** Receives a session that a script ended. */
export type EndObserver = (reason: EndReason, sid: string, userId: UserId, caller: string) => void

/**
 * Reports each session that a script ended. Only the reply of the script that removed a session has it, so each is reported once
 * however many replicas run. Allocates nothing unless sessions ended: every refresh runs this.
 */
export function eachEnd (call: Call, reply: Reply, report: EndObserver): void {
  if (call.script !== 'rotate') return reportEnds(call, 0, reply, report)
  for (let i = 2; i < reply.length; i++) reportEnds(call, i - 2, reply[i], report)
}

/** The last element of `part` is an array only if it lists the ended sessions. */
function reportEnds ({ users, caller }: Call, i: number, part: unknown, report: EndObserver): void {
  const ended = Array.isArray(part) ? part.at(-1) : undefined
  if (!Array.isArray(ended)) return
  for (const [reason, sid] of ended as Ended) report(reason, sid, users[i]!, caller)
}
