import { AuthenticatedAhead, LoggedOutSince } from '#src/errors'
import type { Generation } from '#src/tokens/claims'

/** The user's data that a refresh returns beside the tokens. */
export interface Profile {
  email: string
  role: string
}

/** A session's current generation, and Redis's clock in Unix seconds when it was read. */
export interface LiveSession {
  generation: Generation
  profile: Profile
  now: number
}

/**
 * Every way a refresh can end.
 * - `rotated`: the next generation exists now.
 * - `retried`: a lost answer is repeated; nothing changed.
 * - `recovered`: Redis had lost writes; rotation continues from the generation that the signature proves.
 * - `unknown`: no such session. `device_mismatch`: the session of another device. `expired`: expired, and removed.
 * - `reused`: an older token came back, so two parties hold it: the session is ended (RFC 9700 section 4.14.2);
 *   `unconfirmed` if too few replicas have the removal.
 */
export type Rotation =
  | { outcome: 'rotated' | 'retried' | 'recovered', session: LiveSession }
  | { outcome: 'unknown' | 'device_mismatch' | 'expired' | 'reused', unconfirmed?: boolean }

/** One row of the list of a user's sessions; times in Unix seconds. */
export interface SessionSummary {
  sid: string
  label: string | null
  gen: number
  createdAt: number
  rotatedAt: number
  expiresAt: number
}

/** A live session as it stands; times in Unix seconds, `now` is Redis's clock when it was read. */
export interface FoundSession extends Profile {
  gen: number
  createdAt: number
  rotatedAt: number
  expiresAt: number
  now: number
}

/** Every script's reply begins with a word and Redis's clock in Unix milliseconds. */
export type Reply = [word: string, nowMs: number, ...rest: unknown[]]

/**
 * The reply of open.lua, typed. The profile comes from the record.
 * @throws LoggedOutSince, AuthenticatedAhead when the script opened no session.
 */
export function toOpened (reply: Reply, id: number, sid: string): LiveSession {
  const [word, nowMs, gen, iat, exp, email, role] = reply as [string, number, number, number, number, string, string]
  if (word === 'logged_out') throw new LoggedOutSince()
  if (word === 'ahead') throw new AuthenticatedAhead()
  return { generation: { id, sid, gen, iat, exp }, profile: { email, role }, now: Math.floor(nowMs / 1000) }
}

/** The reply of rotate.lua, typed. */
export function toRotation (reply: Reply, id: number, sid: string): Rotation {
  const outcome = reply[0] as Rotation['outcome']
  switch (outcome) {
    case 'rotated':
    case 'retried':
    case 'recovered': {
      const [, nowMs, gen, iat, exp, email, role] =
        reply as [string, number, number, number, number, string, string]
      const generation = { id, sid, gen, iat, exp }
      return { outcome, session: { generation, profile: { email, role }, now: Math.floor(nowMs / 1000) } }
    }
    default:
      return { outcome }
  }
}

/** The reply of list.lua, typed. */
export function toSummaries (reply: Reply): SessionSummary[] {
  const rows = reply[2] as [string, string, number, number, number, number][]
  return rows.map(([sid, label, gen, createdAt, rotatedAt, expiresAt]) =>
    ({ sid, label: label === '' ? null : label, gen, createdAt, rotatedAt, expiresAt }))
}

/** The reply of find.lua, typed. */
export function toFound (reply: Reply): FoundSession | undefined {
  const [word, nowMs, gen, createdAt, rotatedAt, expiresAt, email, role] =
    reply as [string, number, number, number, number, number, string, string]
  return word === 'absent' ? undefined : { gen, createdAt, rotatedAt, expiresAt, email, role, now: Math.floor(nowMs / 1000) }
}
