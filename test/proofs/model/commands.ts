import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { SessionSummary } from '#src/sessions/replies'
import * as model from './model.ts'
import type { Announcement, Credentials, Rules, Token, User } from './model.ts'
import { KEYRINGS, toHash, type Own, type Snapshot, type World } from './world.ts'

/** Commands on a user. Each runs on the model and on the real store, and compares their answers. */

/** An issued token, and the device and the client it was issued to. */
export interface Issued { token: Token, bytes: string, device: string | undefined, clientId?: string | undefined }

/** The model's state during one run. */
export interface Expected {
  rules: Rules
  ms: number
  user: User
  issued: Issued[]
  snapshots: Array<{ user: User, saved: Snapshot }>
  /** Whether Redis was rolled back at least once. */
  rolledBack: boolean
  /** How often each outcome has occurred, over all runs. */
  seen: Map<string, number>
}

export type Command = fc.AsyncCommand<Expected, World>

type Run = (expected: Expected, world: World) => Promise<Announcement[]>

const nowOf = (expected: Expected): number => Math.floor(expected.ms / 1000)

export function count ({ seen }: Expected, name: string): void {
  seen.set(name, (seen.get(name) ?? 0) + 1)
}

/** Creates one command; `run` returns the expected announcements. The record is checked after every command. */
export function command (name: string, run: Run, isReady: (expected: Expected) => boolean = () => true): Command {
  return {
    check: isReady,
    toString: () => name,
    async run (expected, world) {
      const events = await run(expected, world)
      for (const event of events) count(expected, `event: ${event.type === 'revoked' ? event.reason : event.type}`)
      await world.check(expected.user, events)
    }
  }
}

/** Advances the model by a step, and compares its reply with the store's. */
function follow<Reply> (expected: Expected, step: model.Step<Reply>, reply: Reply): Announcement[] {
  assert.deepEqual(reply, step.reply)
  expected.user = step.user
  return step.events
}

/** Claims of an opening; a missing field is omitted. */
export interface Claims { user?: object | undefined, session?: object | undefined }

const text = (claims?: object): string | undefined => claims && JSON.stringify(claims)

/** `ago`: milliseconds since the log-in began, negative if the caller's clock is ahead. Without it, `authenticatedAt` is omitted. */
export const open = (
  device: string | undefined, label: string, email?: string, role?: string, ago?: number, own: Own = {}, claims: Claims = {}
): Command =>
  command(`open(${device}, '${label}', ${email}, ${role}, ${ago}, ${JSON.stringify({ ...own, claims })})`, async (expected, world) => {
    const authenticatedAt = ago === undefined ? undefined : Math.max(0, expected.ms - ago) / 1000
    const { opened, sid, token, bytes } = await world.open(device, label, email, role, authenticatedAt, own, claims)
    if (token !== undefined) expected.issued.push({ token, bytes: bytes!, device, clientId: own.clientId })
    const step = model.open(expected.user, expected.rules, expected.ms, {
      sid, device, label, email, role, authenticatedAt, userClaims: text(claims.user), claims: text(claims.session) ?? '', ...own
    })
    const { reply } = step
    count(expected, reply.outcome)
    if (reply.outcome === 'opened') {
      if (device === undefined) count(expected, 'without a device')
      if (reply.claims !== undefined) count(expected, 'opened with claims')
      for (const [given, returned] of [[email, reply.email], [role, reply.role]]) {
        if (given === undefined) count(expected, returned === '' ? 'an unknown profile' : 'a known profile stays')
        else if (given !== returned) count(expected, 'a newer profile stays')
      }
    }
    return follow(expected, step, opened)
  })

/** The client that a token was issued to, and the key of its session. */
export function ownCredentials ({ user }: Pick<Expected, 'user'>, { token, clientId }: Issued): Credentials {
  return { clientId, jkt: user?.sessions.find(({ sid }) => sid === token.sid)?.jkt }
}

/** Presents a token, by default as the device and the client it was issued to, with the key of its session and no Idempotency-Key. */
async function present (
  expected: Expected, world: World, issued: Issued, { asDevice = issued.device ?? 'phone', ...given }: Credentials & { asDevice?: string } = {}
): Promise<Announcement[]> {
  const { token, bytes, device, clientId } = issued
  const credentials = { ...ownCredentials(expected, issued), ...given }
  const result = await world.refresh(bytes, asDevice, credentials)
  const now = nowOf(expected)
  const session = expected.user?.sessions.find(({ sid }) => sid === token.sid)
  const step = model.refresh(expected.user, expected.rules, now, KEYRINGS[world.keyring]!, token, asDevice, credentials)
  count(expected, step.reply.outcome)
  const isInWindow = session !== undefined && Math.abs(now - session.rotatedAt) < expected.rules.retryWindow
  if (step.reply.outcome === 'retried') {
    if (token.gen === session!.gen) count(expected, 'shared')
    else if (!isInWindow) count(expected, session!.jkt === undefined ? 'retried by its key' : 'retried by its proof')
  }
  if ('binding' in step.reply && step.reply.binding!.jkt !== session!.jkt) count(expected, 'bound by a refresh')
  if (step.reply.outcome === 'expired' && token.gen > session!.gen && now < session!.expiresAt) count(expected, 'too old to recover')
  const events = follow(expected, step, result.refreshed)
  if ('token' in step.reply) {
    const { token, claims } = step.reply
    if (claims !== undefined) count(expected, `${step.reply.outcome} with claims`)
    if (step.reply.outcome !== 'retried' && token.exp < token.iat + expected.rules.idleTtl) count(expected, 'held to the absolute lifetime')
    expected.issued.push({ token, bytes: result.bytes!, device, clientId })
  }
  return events
}

/** The tokens issued to one device, in order. */
export const ofDevice = ({ issued }: Expected, device: string): Issued[] => issued.filter(each => each.device === device)

const hasTokens = ({ issued }: Expected): boolean => issued.length > 0

/**
 * `back` 0 refreshes, 1 repeats a lost request, a larger number replays an older token or one of an earlier session. `key` is the
 * Idempotency-Key.
 */
export const refresh = (device: string, back: number, key?: string): Command =>
  command(`refresh(${device}, ${back}, ${key})`, async (expected, world) => await present(expected, world, ofDevice(expected, device).at(-1 - back)!, { key }),
    expected => ofDevice(expected, device).length > back)

/** As `refresh`, with credentials of its own. */
export const refreshWith = (device: string, back: number, credentials: Credentials): Command =>
  command(`refreshWith(${device}, ${back}, ${JSON.stringify(credentials)})`,
    async (expected, world) => await present(expected, world, ofDevice(expected, device).at(-1 - back)!, credentials),
    expected => ofDevice(expected, device).length > back)

/** Presents the token of the highest generation of the device's last session; after a rollback it may be ahead of the record. */
export const furthest = (device: string): Command =>
  command(`furthest(${device})`, async (expected, world) => {
    const { sid } = ofDevice(expected, device).at(-1)!.token
    const line = expected.issued.filter(({ token }) => token.sid === sid)
    return await present(expected, world, line.reduce((a, b) => b.token.gen > a.token.gen ? b : a))
  }, expected => ofDevice(expected, device).length > 0)

export const replay = (n: number): Command =>
  command(`replay(${n})`, async (expected, world) => await present(expected, world, expected.issued[n % expected.issued.length]!), hasTokens)

export const wrongDevice = (n: number, device: string): Command =>
  command(`wrongDevice(${n}, ${device})`, async (expected, world) =>
    await present(expected, world, expected.issued[n % expected.issued.length]!, { asDevice: device }), hasTokens)

export const revoke = (n: number): Command =>
  command(`revoke(${n})`, async (expected, world) => {
    const { sid } = expected.issued[n % expected.issued.length]!.token
    await world.store.revoke(world.userId, sid)
    return follow(expected, model.revoke(expected.user, nowOf(expected), sid), undefined)
  }, hasTokens)

/** Logs out with the session's own device and client, or with others. */
export const logOut = (n: number, device?: string, client?: string): Command =>
  command(`logOut(${n}, ${device}, ${client})`, async (expected, world) => {
    const { token: { sid }, device: own = 'phone', clientId } = expected.issued[n % expected.issued.length]!
    const reply = await world.store.logOut({ id: world.userId, sid }, device ?? own, client ?? clientId)
    count(expected, `log-out: ${reply}`)
    return follow(expected, model.logOut(expected.user, nowOf(expected), sid, device ?? own, client ?? clientId), reply)
  }, hasTokens)

export const revokeAll = command('revokeAll()', async (expected, world) => {
  await world.store.revokeAll(world.userId)
  return follow(expected, model.revokeAll(expected.user, expected.ms), undefined)
})

/** Logs out everywhere else; the kept session may have ended before. */
export const revokeOthers = (n: number): Command =>
  command(`revokeOthers(${n})`, async (expected, world) => {
    const { sid } = expected.issued[n % expected.issued.length]!.token
    await world.store.revokeAll(world.userId, sid)
    const step = model.revokeAll(expected.user, expected.ms, sid)
    count(expected, step.user!.sessions.length > 0 ? 'all others logged out' : 'all logged out')
    return follow(expected, step, undefined)
  }, hasTokens)

export const erase = command('erase()', async (expected, world) => {
  await world.store.erase(world.userId)
  if (expected.user !== null) count(expected, 'erased')
  return follow(expected, model.erase(expected.user, nowOf(expected)), undefined)
})

export const updateProfile = ({ userClaims, ...profile }: { email?: string, role?: string, userClaims?: object }): Command =>
  command(`updateProfile(${JSON.stringify({ userClaims, ...profile })})`, async (expected, world) => {
    const updated = await world.store.updateProfile(world.userId, { ...profile, ...userClaims && { userClaims: { ...userClaims } } })
    count(expected, updated ? 'profile updated' : 'profile of nobody')
    const change = { ...profile, ...userClaims && { claims: JSON.stringify(userClaims) } }
    return follow(expected, model.updateProfile(expected.user, expected.ms, change), updated)
  })

/** Follows a listing, and returns the expected announcements. */
function followList (expected: Expected, listed: SessionSummary[]): Announcement[] {
  const step = model.list(expected.user, nowOf(expected))
  const rows = step.reply.map(({ sid, label, gen, createdAt, rotatedAt, expiresAt }) =>
    ({ sid, label: label === '' ? null : label, gen, createdAt, rotatedAt, expiresAt }))
  assert.deepEqual(listed, rows)
  expected.user = step.user
  return step.events
}

export const list = command('list()', async (expected, world) => followList(expected, await world.store.list(world.userId)))

export const read = command('read()', async (expected, world) => {
  const stored = await world.store.read(world.userId)
  const events = followList(expected, stored?.sessions ?? [])
  assert.deepEqual({ ...stored?.record }, toHash(expected.user))
  count(expected, stored === undefined ? 'nothing to read' : 'read')
  return events
})

export const find = (n: number): Command =>
  command(`find(${n})`, async (expected, world) => {
    const { sid } = expected.issued[n % expected.issued.length]!.token
    const found = await world.store.find(world.userId, sid)
    const session = model.find(expected.user, nowOf(expected), sid)
    count(expected, session === undefined ? 'not found' : 'found')
    if (session === undefined) assert.equal(found, undefined)
    else {
      const { gen, createdAt, rotatedAt, expiresAt } = session
      const { email, role, claims } = model.answerOf(expected.user!, session.claims)
      const { binding } = model.bindingOf(session)
      assert.deepEqual(found, { gen, createdAt, rotatedAt, expiresAt, email, role, claims: claims ?? {}, ...binding, now: nowOf(expected) })
    }
    return []
  }, hasTokens)

/** Restarts the replicas with other rules. */
export const changeRules = (change: Partial<Rules>): Command => ({
  check: () => true,
  toString: () => `changeRules(${JSON.stringify(change)})`,
  async run (expected, world) {
    expected.rules = { ...expected.rules, ...change }
    world.restart(expected.rules)
  }
})

/** Restarts the replicas with the next list of secrets. */
export const rotateSecrets: Command = {
  check: () => true,
  toString: () => 'rotateSecrets()',
  async run (expected, world) {
    world.keyring = Math.min(world.keyring + 1, KEYRINGS.length - 1)
    count(expected, 'secrets rotated')
  }
}
