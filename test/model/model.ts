/**
 * docs/design.md once more, as pure functions over plain data: what the scripts have to do, said as plainly as can be.
 * Read it beside "The Redis record" and "Rotation" there. Times are whole Unix seconds. Nothing changes its arguments.
 */

export interface Rules {
  idleTtl: number
  absoluteTtl: number
  retryWindow: number
  maxSessionsPerUser: number
}

export interface Session {
  sid: string
  device: string
  label: string
  gen: number
  createdAt: number
  rotatedAt: number
  expiresAt: number
}

/** A user's record; `null` when there is none. Its sessions stand in the order in which they were opened. */
export type User = {
  email: string
  role: string
  sessions: Session[]
  /** An operator took the key's expiry away. */
  isPermanent?: true
} | null

/** What a refresh token says, and the name of the secret that signed it. Two equal ones are the same bytes. */
export interface Token {
  key: string
  sid: string
  gen: number
  iat: number
  exp: number
}

export type Announcement =
  | { type: 'revoked', reason: 'reuse' | 'logout' | 'replaced' | 'evicted' | 'expired', sid: string }
  | { type: 'profile' }

/** The record afterwards, what was announced on the way (in any order), and the answer. */
export interface Step<Reply> {
  user: User
  events: Announcement[]
  reply: Reply
}

export type Refreshed =
  | { outcome: 'rotated' | 'retried' | 'recovered', token: Token, email: string, role: string }
  | { outcome: 'forged' | 'unknown' | 'device_mismatch' | 'expired' | 'reused' }

/** The table of "Rotation", row by row. `keys` are the names of the secrets: the first signs, all verify. */
export function refresh (user: User, rules: Rules, now: number, keys: string[], token: Token, device: string): Step<Refreshed> {
  const session = user?.sessions.find(({ sid }) => sid === token.sid)
  if (!keys.includes(token.key)) return { user, events: [], reply: { outcome: 'forged' } }
  if (user === null || session === undefined) return { user, events: [], reply: { outcome: 'unknown' } }
  if (session.device !== device) return { user, events: [], reply: { outcome: 'device_mismatch' } }
  if (now >= session.expiresAt) return end('expired', 'expired')
  if (token.gen === session.gen) return goOn('rotated')
  if (token.gen > session.gen) return now < token.exp ? goOn('recovered') : end('expired', 'expired')
  const isRetry = token.gen === session.gen - 1 && Math.abs(now - session.rotatedAt) < rules.retryWindow
  return isRetry ? answer('retried', session) : end('reused', 'reuse')

  function goOn (outcome: 'rotated' | 'recovered'): Step<Refreshed> {
    const expiresAt = Math.min(now + rules.idleTtl, session!.createdAt + rules.absoluteTtl)
    // Only when a lifetime was lowered since: it may be over by now, or the record may have to go sooner.
    if (now >= expiresAt) return end('expired', 'expired')
    const step = answer(outcome, { ...session!, gen: token.gen + 1, rotatedAt: now, expiresAt })
    return expiresAt < session!.expiresAt || user!.isPermanent ? { ...step, ...prune(step.user, now), reply: step.reply } : step
  }

  function answer (outcome: 'rotated' | 'retried' | 'recovered', current: Session): Step<Refreshed> {
    const { sid, gen, rotatedAt: iat, expiresAt: exp } = current
    const { email, role, sessions } = user!
    return {
      user: { ...user!, sessions: sessions.map(session => session.sid === sid ? current : session) },
      events: [],
      reply: { outcome, token: { key: keys[0]!, sid, gen, iat, exp }, email, role }
    }
  }

  function end (outcome: 'expired' | 'reused', reason: 'expired' | 'reuse'): Step<Refreshed> {
    return { ...endSession(user, now, token.sid, reason), reply: { outcome } }
  }
}

/** Opens a session: the device's older one is replaced, and over the cap the least recently used goes. */
export function open (
  user: User, rules: Rules, now: number,
  { email, role, ...session }: { sid: string, device: string, label: string, email: string, role: string }
): Step<{ gen: number, iat: number, exp: number }> {
  const { user: pruned, events } = prune(user, now)
  const replaced = pruned?.sessions.filter(({ device }) => device === session.device) ?? []
  const others = pruned?.sessions.filter(({ device }) => device !== session.device) ?? []
  const excess = Math.max(0, others.length + 1 - rules.maxSessionsPerUser)
  // Stable: of those that were used and opened in the same seconds, the first in the record goes.
  const evicted = [...others].sort((a, b) => a.rotatedAt - b.rotatedAt || a.createdAt - b.createdAt).slice(0, excess)
  const expiresAt = now + Math.min(rules.idleTtl, rules.absoluteTtl)
  const opened = { ...session, gen: 1, createdAt: now, rotatedAt: now, expiresAt }
  return {
    user: { email, role, sessions: [...others.filter(other => !evicted.includes(other)), opened] },
    events: [...events, ...revoked('replaced', replaced), ...revoked('evicted', evicted), ...profileEvents(user, email, role)],
    reply: { gen: 1, iat: now, exp: expiresAt }
  }
}

/** Ends one session. Of one that has expired, that is the reason. */
export function revoke (user: User, now: number, sid: string): Step<undefined> {
  const { user: live, events } = prune(user, now)
  const step = endSession(live, now, sid, 'logout')
  return { ...step, events: [...events, ...step.events] }
}

/** Ends all of them. */
export function revokeAll (user: User, now: number): Step<undefined> {
  const { user: live, events } = prune(user, now)
  return { user: null, events: [...events, ...revoked('logout', live?.sessions ?? [])], reply: undefined }
}

/** The live sessions, the last used first. */
export function list (user: User, now: number): Step<Session[]> {
  const step = prune(user, now)
  return { ...step, reply: [...step.user?.sessions ?? []].sort((a, b) => b.rotatedAt - a.rotatedAt) }
}

/** Changes what is given of the profile; false without a live session. */
export function updateProfile (user: User, now: number, { email, role }: { email?: string, role?: string }): Step<boolean> {
  const { user: live, events } = prune(user, now)
  if (live === null) return { user: null, events, reply: false }
  const updated = { ...live, email: email ?? live.email, role: role ?? live.role }
  return { user: updated, events: [...events, ...profileEvents(live, updated.email, updated.role)], reply: true }
}

/** One live session, without a trace. */
export function find (user: User, now: number, sid: string): Session | undefined {
  return user?.sessions.find(session => session.sid === sid && now < session.expiresAt)
}

/** Redis itself removes a key whose last session has expired, silently, in the millisecond after. */
export function elapse (user: User, nowMs: number): User {
  return user !== null && nowMs > (expiry(user) ?? Infinity) * 1000 ? null : user
}

/** When the key expires: with the last of its sessions. */
export function expiry (user: User): number | undefined {
  return user === null || user.isPermanent ? undefined : Math.max(...user.sessions.map(({ expiresAt }) => expiresAt))
}

/** Whoever walks the record removes what has expired. */
function prune (user: User, now: number): Step<undefined> {
  const expired = user?.sessions.filter(({ expiresAt }) => expiresAt <= now) ?? []
  return { user: withSessions(user, ({ expiresAt }) => expiresAt > now), events: revoked('expired', expired), reply: undefined }
}

/** Ends one session, and prunes the rest. */
function endSession (user: User, now: number, sid: string, reason: 'logout' | 'expired' | 'reuse'): Step<undefined> {
  const ended = user?.sessions.filter(session => session.sid === sid) ?? []
  const { user: left, events } = prune(withSessions(user, session => session.sid !== sid), now)
  return { user: left, events: [...revoked(reason, ended), ...events], reply: undefined }
}

/** Without a session there is no record. */
function withSessions (user: User, isKept: (session: Session) => boolean): User {
  const sessions = user?.sessions.filter(isKept) ?? []
  if (user === null || sessions.length === 0) return null
  const { isPermanent, ...dated } = user
  return { ...dated, sessions }
}

function revoked (reason: (Announcement & { type: 'revoked' })['reason'], sessions: Session[]): Announcement[] {
  return sessions.map(({ sid }) => ({ type: 'revoked', reason, sid }))
}

function profileEvents (before: User, email: string, role: string): Announcement[] {
  return before !== null && (before.email !== email || before.role !== role) ? [{ type: 'profile' }] : []
}
