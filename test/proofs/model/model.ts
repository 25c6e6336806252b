/**
 * The rules of docs/design.md as pure functions over plain data: the specification of the scripts. Read it beside "The Redis
 * record" and "Rotation" there. Times are whole Unix seconds, except `nowMs` and the times in `Memory`, which are
 * milliseconds. No function changes its arguments.
 */

/** Seconds for which a record with a remembered time is kept after its last session. */
const MEMORY = 600

export interface Rules {
  idleTtl: number
  absoluteTtl: number
  retryWindow: number
  maxSessionsPerUser: number
}

export interface Session {
  sid: string
  /** `undefined` for none. */
  device: string | undefined
  label: string
  /** Claims in JSON; '' for none. */
  claims: string
  gen: number
  createdAt: number
  rotatedAt: number
  expiresAt: number
  /** The Idempotency-Key of the last rotation, if it had one. */
  key?: string | undefined
  /** The OAuth client that every refresh and log-out must come from, if it has one. */
  clientId?: string | undefined
  /** The key that every refresh must prove, if it has one. */
  jkt?: string | undefined
  /** The session's own lifetimes, seconds. */
  idleTtl?: number | undefined
  absoluteTtl?: number | undefined
}

/** Times of these events in Unix milliseconds, if the record remembers them. */
export interface Memory { loggedOutAt?: number, profileChangedAt?: number }

/**
 * A user's record; `null` if there is none. Sessions are in the order in which they were opened. Without a session the record
 * has a profile only if it remembers a profile change.
 */
export type User = Memory & {
  /** '' if the record has sessions, but nobody has given one. */
  email?: string
  role?: string
  /** Claims of the user in JSON. */
  claims?: string
  sessions: Session[]
  /** Expiry of a record without a session. */
  keptUntil?: number
  /** An operator removed the key's expiry. */
  isPermanent?: true
} | null

/** A refresh token's claims, and the name of the secret that signed it. Equal tokens have equal bytes. */
export interface Token {
  key: string
  sid: string
  gen: number
  iat: number
  exp: number
}

export type Announcement =
  | { type: 'revoked', reason: 'reuse' | 'logout' | 'replaced' | 'evicted' | 'expired', sid: string }
  | { type: 'opened', sid: string }
  | { type: 'profile' }

/** The record after a step, the announcements (in any order), and the answer. */
export interface Step<Reply> {
  user: User
  events: Announcement[]
  reply: Reply
}

/**
 * What a refresh answers with. `claims` are those of the user and of the session, `binding` the session's client and key; absent if the
 * record has none.
 */
export interface Answer { email: string, role: string, claims?: object, binding?: Binding }

export interface Binding { clientId?: string, jkt?: string }

/**
 * What comes with a token and a device: the Idempotency-Key, the key that the request proves, its OAuth client, and whether the tabs of
 * a browser share the token.
 */
export interface Credentials {
  key?: string | undefined
  jkt?: string | undefined
  clientId?: string | undefined
  shared?: boolean | undefined
}

/** Fields of a profile, the claims in JSON. */
export interface Profile { email?: string, role?: string, claims?: string }

export type Refreshed =
  | { outcome: 'rotated' | 'retried' | 'recovered', token: Token } & Answer
  | { outcome: 'forged' | 'unknown' | 'device_mismatch' | 'client_mismatch' | 'key_mismatch' | 'expired' | 'reused' }

/**
 * The table in "Rotation", row by row. `keys` are the names of the secrets: the first signs, all verify.
 */
export function refresh (
  user: User, rules: Rules, now: number, keys: string[], token: Token, device: string,
  { key, jkt, clientId, shared = false }: Credentials = {}
): Step<Refreshed> {
  const session = user?.sessions.find(({ sid }) => sid === token.sid)
  if (!keys.includes(token.key)) return { user, events: [], reply: { outcome: 'forged' } }
  if (user === null || session === undefined) return { user, events: [], reply: { outcome: 'unknown' } }
  if (session.device !== device) return { user, events: [], reply: { outcome: 'device_mismatch' } }
  if (isOfOther(session, clientId)) return { user, events: [], reply: { outcome: 'client_mismatch' } }
  if (![undefined, jkt].includes(session.jkt)) return { user, events: [], reply: { outcome: 'key_mismatch' } }
  if (now >= session.expiresAt) return end('expired', 'expired')
  if (token.gen === session.gen) return goOn('rotated')
  if (token.gen > session.gen) return now < token.exp ? goOn('recovered') : end('expired', 'expired')
  const isRepeat = key !== undefined && key === session.key
  const isRetry = token.gen === session.gen - 1 && (isRepeat || session.jkt !== undefined || isInWindow())
  return isRetry ? answer('retried', session) : end('reused', 'reuse')

  function isInWindow (): boolean {
    return Math.abs(now - session!.rotatedAt) < rules.retryWindow
  }

  function goOn (outcome: 'rotated' | 'recovered'): Step<Refreshed> {
    const own = lifetimes(rules, session!)
    const expiresAt = Math.min(now + own.idleTtl, session!.createdAt + own.absoluteTtl)
    // After a lifetime was lowered, the session may already have expired, or the record may have to expire sooner.
    if (now >= expiresAt) return end('expired', 'expired')
    if (outcome === 'rotated' && shared && isInWindow()) return answer('retried', session!)
    const step = answer(outcome, { ...session!, gen: token.gen + 1, rotatedAt: now, expiresAt, key })
    return expiresAt < session!.expiresAt || user!.isPermanent ? { ...step, ...prune(step.user, now), reply: step.reply } : step
  }

  /** The first key that a refresh proves becomes the key of the session. */
  function answer (outcome: 'rotated' | 'retried' | 'recovered', session: Session): Step<Refreshed> {
    const current = { ...session, jkt: session.jkt ?? jkt }
    const { sid, gen, rotatedAt: iat, expiresAt: exp } = current
    const { sessions } = user!
    return {
      user: { ...user!, sessions: sessions.map(session => session.sid === sid ? current : session) },
      events: [],
      reply: { outcome, token: { key: keys[0]!, sid, gen, iat, exp }, ...answerOf(user!, current.claims), ...bindingOf(current) }
    }
  }

  function end (outcome: 'expired' | 'reused', reason: 'expired' | 'reuse'): Step<Refreshed> {
    return { ...endSession(user, now, token.sid, reason), reply: { outcome } }
  }
}

export type Opened =
  | { outcome: 'opened', gen: number, iat: number, exp: number } & Answer
  | { outcome: 'logged_out' | 'ahead' }

/**
 * Opens a session: replaces the device's older one, and evicts the least recently used ones over the cap. `authenticatedAt` is
 * when the log-in began, in seconds: a later log-out everywhere or profile change takes precedence. A field of the profile that is
 * not given stays; an e-mail address or a role that nobody has given yet is ''.
 */
export function open (
  user: User, rules: Rules, nowMs: number,
  { email, role, userClaims, claims: sessionClaims = '', authenticatedAt, ...session }:
  Pick<Session, 'sid' | 'device' | 'label' | 'clientId' | 'jkt' | 'idleTtl' | 'absoluteTtl'> &
  { [Name in 'email' | 'role' | 'userClaims']?: string | undefined } & { claims?: string, authenticatedAt?: number | undefined }
): Step<Opened> {
  const now = Math.floor(nowMs / 1000)
  const isBefore = (ms: number | undefined): boolean => authenticatedAt !== undefined && ms !== undefined && authenticatedAt < ms / 1000
  if (authenticatedAt !== undefined && authenticatedAt > nowMs / 1000 + 60) return { user, events: [], reply: { outcome: 'ahead' } }
  if (isBefore(user?.loggedOutAt)) return { user, events: [], reply: { outcome: 'logged_out' } }

  const { user: pruned, events } = prune(user, now)
  const isSame = ({ device }: Session): boolean => device !== undefined && device === session.device
  const replaced = pruned?.sessions.filter(isSame) ?? []
  const others = pruned?.sessions.filter(other => !isSame(other)) ?? []
  const excess = Math.max(0, others.length + 1 - rules.maxSessionsPerUser)
  // The sort is stable: of sessions used and opened in the same seconds, the first in the record is evicted.
  const evicted = [...others].sort((a, b) => a.rotatedAt - b.rotatedAt || a.createdAt - b.createdAt).slice(0, excess)
  const { idleTtl, absoluteTtl } = lifetimes(rules, session)
  const expiresAt = now + Math.min(idleTtl, absoluteTtl)
  const opened = { ...session, claims: sessionClaims, gen: 1, createdAt: now, rotatedAt: now, expiresAt }
  const isOlder = isBefore(pruned?.profileChangedAt)
  const choose = (given: string | undefined, known: string | undefined): string | undefined =>
    isOlder || given === undefined ? known || given : given
  const claims = choose(userClaims, pruned?.claims)
  const profile = {
    email: choose(email, pruned?.email) ?? '', role: choose(role, pruned?.role) ?? '', ...claims !== undefined && { claims }
  }
  return {
    user: {
      ...memoryOf(pruned),
      ...!isOlder && isChange(pruned, profile) && { profileChangedAt: Math.min(nowMs, Math.round((authenticatedAt ?? Infinity) * 1000)) },
      ...profile,
      sessions: [...others.filter(other => !evicted.includes(other)), opened]
    },
    events: [...events, ...revoked('replaced', replaced), ...revoked('evicted', evicted), ...profileEvents(pruned, profile), { type: 'opened', sid: session.sid }],
    reply: { outcome: 'opened', gen: 1, iat: now, exp: expiresAt, ...answerOf(profile, sessionClaims), ...bindingOf(session) }
  }
}

/** The lifetimes of a session: its own, or the configured ones if these are shorter. */
function lifetimes (rules: Rules, { idleTtl = Infinity, absoluteTtl = Infinity }: Partial<Session>): Pick<Rules, 'idleTtl' | 'absoluteTtl'> {
  return { idleTtl: Math.min(idleTtl, rules.idleTtl), absoluteTtl: Math.min(absoluteTtl, rules.absoluteTtl) }
}

/** Ends one session. An expired session ends with the reason `expired`. */
export function revoke (user: User, now: number, sid: string): Step<undefined> {
  const { user: live, events } = prune(user, now)
  const step = endSession(live, now, sid, 'logout')
  return { ...step, events: [...events, ...step.events] }
}

/** Ends the session of an authentic token of any generation, if device and client are its own; an expired one with the reason `expired`. */
export function logOut (
  user: User, now: number, sid: string, device: string, clientId?: string
): Step<'ended' | 'absent' | 'device_mismatch' | 'client_mismatch'> {
  const session = user?.sessions.find(session => session.sid === sid)
  if (session !== undefined && session.device !== device) return { user, events: [], reply: 'device_mismatch' }
  if (session !== undefined && isOfOther(session, clientId)) return { user, events: [], reply: 'client_mismatch' }
  return { ...revoke(user, now, sid), reply: find(user, now, sid) === undefined ? 'absent' : 'ended' }
}

/** Ends all sessions but `except`, and remembers the time. Without a kept session, forgets the profile. */
export function revokeAll (user: User, nowMs: number, except?: string): Step<undefined> {
  const now = Math.floor(nowMs / 1000)
  const { user: live, events } = prune(user, now)
  const isKept = ({ sid }: Session): boolean => sid === except
  const kept = live?.sessions.filter(isKept) ?? []
  return {
    user: kept.length > 0
      ? { ...live, loggedOutAt: nowMs, sessions: kept }
      : { loggedOutAt: nowMs, sessions: [], keptUntil: now + MEMORY },
    events: [...events, ...revoked('logout', live?.sessions.filter(session => !isKept(session)) ?? [])],
    reply: undefined
  }
}

/** Removes everything, and remembers nothing. */
export function erase (user: User, now: number): Step<undefined> {
  const { user: live, events } = prune(user, now)
  return { user: null, events: [...events, ...revoked('logout', live?.sessions ?? [])], reply: undefined }
}

/** Lists the live sessions, most recently used first. */
export function list (user: User, now: number): Step<Session[]> {
  const step = prune(user, now)
  return { ...step, reply: [...step.user?.sessions ?? []].sort((a, b) => b.rotatedAt - a.rotatedAt) }
}

/** Changes the given fields of the profile, and remembers the time; replies false without a live session. */
export function updateProfile (user: User, nowMs: number, { email, role, claims }: Profile): Step<boolean> {
  const now = Math.floor(nowMs / 1000)
  const { user: live, events } = prune(user, now)
  const profile = { ...email !== undefined && { email }, ...role !== undefined && { role }, ...claims !== undefined && { claims } }
  const updated = { sessions: [], ...live, ...profile, profileChangedAt: nowMs }
  return hasSession(live)
    ? { user: updated, events: [...events, ...profileEvents(live, profile)], reply: true }
    : { user: { ...updated, keptUntil: now + MEMORY }, events, reply: false }
}

/** Finds one live session; changes nothing. */
export function find (user: User, now: number, sid: string): Session | undefined {
  return user?.sessions.find(session => session.sid === sid && now < session.expiresAt)
}

/** Redis removes an expired key itself, without an announcement, one millisecond after its expiry. */
export function elapse (user: User, nowMs: number): User {
  return user !== null && nowMs > (expiry(user) ?? Infinity) * 1000 ? null : user
}

/** Expiry of the key: the end of its longest session, plus `MEMORY` seconds if it remembers a time. */
export function expiry (user: User): number | undefined {
  if (user === null || user.isPermanent) return undefined
  return hasSession(user)
    ? Math.max(...user.sessions.map(({ expiresAt }) => expiresAt)) + (remembersAny(user) ? MEMORY : 0)
    : user.keptUntil
}

/** Removes expired sessions and, without a session, times older than `MEMORY`. Every script that walks the record does so. */
function prune (user: User, now: number): Step<undefined> {
  const expired = user?.sessions.filter(({ expiresAt }) => expiresAt <= now) ?? []
  return { user: withSessions(user, now, ({ expiresAt }) => expiresAt > now), events: revoked('expired', expired), reply: undefined }
}

/** Ends one session, and prunes the rest. */
function endSession (user: User, now: number, sid: string, reason: 'logout' | 'expired' | 'reuse'): Step<undefined> {
  const ended = user?.sessions.filter(session => session.sid === sid) ?? []
  const expired = user?.sessions.filter(session => session.sid !== sid && session.expiresAt <= now) ?? []
  return {
    user: withSessions(user, now, session => session.sid !== sid && session.expiresAt > now),
    events: [...revoked(reason, ended), ...revoked('expired', expired)],
    reply: undefined
  }
}

/**
 * Returns the user with the kept sessions. A record without a session is removed unless it remembers a time of the last ten
 * minutes; its expiry is never extended.
 */
function withSessions (user: User, now: number, isKept: (session: Session) => boolean): User {
  if (user === null) return null
  const { isPermanent, ...dated } = user
  const sessions = user.sessions.filter(isKept)
  if (sessions.length > 0) return { ...dated, sessions }
  const { loggedOutAt = 0, profileChangedAt = 0, email, role, claims } = user
  const isRemembered = (ms: number): boolean => ms / 1000 + MEMORY > now
  const kept = {
    ...isRemembered(loggedOutAt) && { loggedOutAt },
    ...isRemembered(profileChangedAt) && {
      profileChangedAt, ...email !== undefined && { email }, ...role !== undefined && { role }, ...claims !== undefined && { claims }
    }
  }
  return remembersAny(kept) ? { ...kept, sessions, keptUntil: Math.min(now + MEMORY, expiry(user) ?? Infinity) } : null
}

function hasSession (user: User): boolean {
  return user !== null && user.sessions.length > 0
}

function remembersAny ({ loggedOutAt, profileChangedAt }: Memory): boolean {
  return loggedOutAt !== undefined || profileChangedAt !== undefined
}

function memoryOf (user: User): Memory {
  const { loggedOutAt, profileChangedAt } = user ?? {}
  return { ...loggedOutAt !== undefined && { loggedOutAt }, ...profileChangedAt !== undefined && { profileChangedAt } }
}

function revoked (reason: (Announcement & { type: 'revoked' })['reason'], sessions: Session[]): Announcement[] {
  return sessions.map(({ sid }) => ({ type: 'revoked', reason, sid }))
}

/** Whether the given fields differ from the record's profile, which has empty claims if it has an e-mail address and no claims. */
function isChange (before: User, { email = before?.email, role = before?.role, claims }: Profile): boolean {
  if (before === null) return false
  const known = before.claims ?? (before.email === undefined ? undefined : '{}')
  return (before.email !== undefined && before.email !== email) || (before.role !== undefined && before.role !== role) ||
    (known !== undefined && claims !== undefined && known !== claims)
}

/** A session's claim replaces the user's claim of the same name. */
export function answerOf ({ email, role, claims = '' }: Profile, session: string): Answer {
  const merged = { ...JSON.parse(claims || '{}'), ...JSON.parse(session || '{}') }
  return { email: email!, role: role!, ...(claims !== '' || session !== '') && { claims: merged } }
}

/** The client and the key of a session, if it has any. */
export function bindingOf ({ clientId, jkt }: Pick<Session, 'clientId' | 'jkt'>): { binding?: Binding } {
  const binding = { ...clientId !== undefined && { clientId }, ...jkt !== undefined && { jkt } }
  return Object.keys(binding).length > 0 ? { binding } : {}
}

/** Whether a session belongs to another client. */
function isOfOther (session: Session, clientId: string | undefined): boolean {
  return session.clientId !== undefined && session.clientId !== clientId
}

/** Announced only if the user has a session: otherwise no subscriber has a cached answer. */
function profileEvents (before: User, profile: Profile): Announcement[] {
  return hasSession(before) && isChange(before, profile) ? [{ type: 'profile' }] : []
}
