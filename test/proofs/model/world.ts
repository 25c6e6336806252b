import { createHash } from 'node:crypto'
import assert from 'node:assert/strict'
import type { Redis } from 'ioredis'
import type { Test } from 'tap'
import { loadConfig, type RunnableConfig } from '#src/config/environment'
import { createSigning } from '#src/core/signing'
import { sessionTokens } from '#src/sessions/session-tokens'
import { eachEnd, type LiveSession } from '#src/sessions/replies'
import type { ScriptObserver } from '#src/sessions/runner'
import { createSessionStore, type SessionStore } from '#src/sessions/store'
import type { Tokens } from '#src/tokens/tokens'
import type { UserId } from '#src/tokens/user-id'
import { claimsOf, environment, secret, type PrivateRedis } from '../../support/helper.ts'
import { setClock, turnClock, type Edit } from '../../support/clock.ts'
import type { Claims } from './commands.ts'
import { expiry, type Announcement, type Binding, type Credentials, type Opened, type Refreshed, type Rules, type Token, type User } from './model.ts'

/** The system under test, driven step by step: the store on a real Redis whose clock the test sets, and real tokens. */

/** Names of the configured secrets, one list per restart: new key last, new key first, old key removed. */
export const KEYRINGS = [['a'], ['a', 'b'], ['b', 'a'], ['b'], ['b', 'c'], ['c', 'b'], ['c']]

const secrets: Record<string, string> = { a: secret(), b: secret(), c: secret() }

/** Creates a keyring's tokens as the service does. */
async function tokensOf (keyring: string[]): Promise<Tokens> {
  const config = loadConfig(environment('redis://localhost', {
    REFRESH_TOKEN_SECRETS: keyring.map(name => secrets[name]!).join(','), ACCESS_TOKEN_SECRETS: secret()
  })) as RunnableConfig
  return (await createSigning(config)).tokens
}

const tokensByKeyring = await Promise.all(KEYRINGS.map(tokensOf))

/** Key of the clock. It can't be a user's key, because of its second colon. */
const clockOf = (prefix: string): string => `${prefix}test:clock`

/** The device hash in the record, as design.md defines it. */
const deviceHash = (deviceId: string): string => createHash('sha256').update(deviceId).digest().subarray(0, 12).toString('base64url')

/** The hash of an Idempotency-Key in the record. */
const keyHash = (key: string): string => createHash('sha256').update(key).digest().subarray(0, 6).toString('base64url')

/** A session's own lifetimes, seconds, its client and its key. */
export interface Own { idleTtl?: number, absoluteTtl?: number, clientId?: string, jkt?: string }

/** A saved record, as in a Redis snapshot. */
export interface Snapshot { dump: Buffer | null, expiresAtMs: number }

export interface World {
  store: SessionStore
  userId: UserId
  /** Index of the keyring in use. */
  keyring: number
  /** Switches to a store with other rules. */
  restart (rules: Rules): void
  /** Sets the clock. */
  turn (ms: number): Promise<void>
  refresh (bytes: string, deviceId: string, credentials?: Credentials): Promise<{ refreshed: Refreshed, bytes?: string }>
  open (
    device: string | undefined, label: string, email?: string, role?: string, authenticatedAt?: number, own?: Own,
    claims?: Claims
  ): Promise<{ opened: Opened, sid: string, token?: Token, bytes?: string }>
  /** Removes the key's expiry. */
  persist (): Promise<void>
  save (): Promise<Snapshot>
  restore (snapshot: Snapshot): Promise<void>
  /** Asserts that the record, and the announcements and the ended sessions in replies since the last call, equal the model's. */
  check (user: User, events: Announcement[]): Promise<void>
}

/** Creates worlds on one connection; each has its own user. */
export type Worlds = (rules: Rules) => World

/** `edit` changes the scripts: mutants show that the tests can fail. */
export async function createWorlds (t: Test, redis: PrivateRedis, prefix: string, edit?: Edit): Promise<Worlds> {
  const client = redis.client.duplicate({ lazyConnect: false })
  client.setMaxListeners(0) // each store below adds a listener
  turnClock(client, clockOf(prefix), edit)
  const subscriber = client.duplicate({ lazyConnect: false })
  t.teardown(() => { for (const connection of [client, subscriber]) connection.disconnect() })
  const heard: string[] = []
  subscriber.on('message', (_channel, text) => { heard.push(text) })
  await subscriber.subscribe(`${prefix}events`)
  const events = async (): Promise<string[]> => {
    await subscriber.ping()
    return heard.splice(0)
  }

  const ended: string[] = []
  const observe: ScriptObserver = (command, _seconds, _result, reply) => {
    if (reply !== undefined) eachEnd(command, reply, (reason, sid, id) => { ended.push(revoked(reason, sid, id)) })
  }
  const stores = new Map<string, SessionStore>()
  const storeOf = (rules: Rules): SessionStore => {
    const name = JSON.stringify(rules)
    const store = stores.get(name) ?? createSessionStore(client, { prefix, ...rules, observe })
    stores.set(name, store)
    return store
  }
  let users = 0
  // Users with integers and with texts as ids, in turn.
  return rules => createWorld(client, storeOf, rules, events, () => ended.splice(0), prefix, ++users % 2 === 0 ? users : `user_${users}`)
}

const revoked = (reason: string, sid: string, userId: UserId): string =>
  `{"type":"revoked","reason":"${reason}","id":${JSON.stringify(userId)},"sid":"${sid}"}`

function createWorld (
  client: Redis, storeOf: (rules: Rules) => SessionStore, rules: Rules, events: () => Promise<string[]>, ended: () => string[],
  prefix: string, userId: UserId
): World {
  const key = `${prefix}${userId}`
  const spelled = new Map<string, string>()

  /** Asserts that equal claims signed with the same key give the same bytes. */
  function spell (token: Token, bytes: string): void {
    const meaning = JSON.stringify(token)
    const known = spelled.get(meaning) ?? bytes
    assert.equal(bytes, known, 'the token has the same bytes as before')
    spelled.set(meaning, known)
  }

  return {
    store: storeOf(rules),
    userId,
    keyring: 0,
    restart (rules) {
      this.store = storeOf(rules)
    },
    turn: async ms => await setClock(client, clockOf(prefix), ms, key),
    async open (device, label, email, role, authenticatedAt, own, { user, session: sessionClaims } = {}) {
      const claims = { ...user && { userClaims: { ...user } }, ...sessionClaims && { sessionClaims: { ...sessionClaims } } }
      const optional = {
        ...device !== undefined && { deviceId: device },
        ...email !== undefined && { email },
        ...role !== undefined && { role },
        ...authenticatedAt !== undefined && { authenticatedAt }
      }
      const input = { userId, label, ...optional, ...own, ...claims }
      const session = await this.store.open(input).catch(refusal)
      if ('outcome' in session) return { opened: session, sid: '' }
      const { sid, gen, iat, exp } = session.generation
      const { refreshToken: bytes } = sessionTokens(tokensByKeyring[this.keyring]!, session)
      const token = { key: KEYRINGS[this.keyring]![0]!, sid, gen, iat, exp }
      spell(token, bytes)
      return { opened: { outcome: 'opened', gen, iat, exp, ...session.profile, ...detailsOf(session) }, sid, token, bytes }
    },
    persist: async () => { await client.persist(key) },
    async refresh (presented, deviceId, { key, ...credentials } = {}) {
      const tokens = tokensByKeyring[this.keyring]!
      const claims = tokens.verifyRefresh(presented)
      if (claims === undefined) return { refreshed: { outcome: 'forged' } }
      const rotation = await this.store.rotate(claims, deviceId, { idempotencyKey: key, ...credentials })
      if (!('session' in rotation)) return { refreshed: rotation }
      const { refreshToken: bytes, email, role } = sessionTokens(tokens, rotation.session)
      const { id, sid, gen, iat, exp } = claimsOf(bytes)
      assert.equal(id, userId)
      const token = { key: KEYRINGS[this.keyring]![0]!, sid, gen, iat, exp }
      spell(token, bytes)
      return { refreshed: { outcome: rotation.outcome, token, email, role, ...detailsOf(rotation.session) }, bytes }
    },
    async save () {
      return { dump: await client.dumpBuffer(key), expiresAtMs: await client.pexpiretime(key) }
    },
    async restore ({ dump, expiresAtMs }) {
      if (dump === null) await client.del(key)
      else await client.restore(key, Math.max(0, expiresAtMs), dump, 'REPLACE', 'ABSTTL') // 0 for no expiry
    },
    async check (user, expected) {
      const [fields, expiresAt, announced] = await Promise.all([client.hgetall(key), client.expiretime(key), events()])
      assert.deepEqual({ ...fields }, toHash(user), 'the record')
      assert.equal(expiresAt, expiry(user) ?? (user === null ? -2 : -1), 'the key expires with its last session or its last remembered time')
      const id = JSON.stringify(userId)
      const texts = expected.map(event => {
        if (event.type === 'revoked') return revoked(event.reason, event.sid, userId)
        return event.type === 'opened' ? `{"type":"opened","id":${id},"sid":"${event.sid}"}` : `{"type":"profile","id":${id}}`
      })
      assert.deepEqual(announced.sort(), texts.sort(), 'the announcements')
      assert.deepEqual(ended().sort(), texts.filter(text => text.includes('revoked')), 'the ended sessions in the replies')
    }
  }
}

/** The claims of a session, its client and its key, as the model has them. */
function detailsOf ({ claims, binding }: LiveSession): { claims?: object, binding?: Binding } {
  return { ...claims && { claims: { ...claims } }, ...binding && { binding: { ...binding } } }
}

const refusals: Record<string, 'logged_out' | 'ahead'> = { RTS_LOGGED_OUT_SINCE: 'logged_out', RTS_AUTHENTICATED_AHEAD: 'ahead' }

/** The outcome of a refused opening. */
function refusal (err: Error & { code: string }): { outcome: 'logged_out' | 'ahead' } {
  const outcome = refusals[err.code]
  if (outcome === undefined) throw err
  return { outcome }
}

/** The record's hash, as design.md defines it. */
export function toHash (user: User): Record<string, string> {
  if (user === null) return {}
  const { email, role, claims, loggedOutAt, profileChangedAt } = user
  const seconds = (ms: number): string => (ms / 1000).toFixed(3)
  const fields: Record<string, string> = {
    ...email !== undefined && { email },
    ...role !== undefined && { role },
    ...claims !== undefined && { c: claims },
    ...loggedOutAt !== undefined && { loggedOutAt: seconds(loggedOutAt) },
    ...profileChangedAt !== undefined && { profileChangedAt: seconds(profileChangedAt) }
  }
  for (const session of user.sessions) {
    const { sid, device, label, claims, gen, createdAt, rotatedAt, expiresAt, key, idleTtl, absoluteTtl, clientId, jkt } = session
    const parts = [String(gen).padStart(3, '0'), createdAt, rotatedAt, expiresAt, device === undefined ? '-' : deviceHash(device)]
    const hasOwn = idleTtl !== undefined || absoluteTtl !== undefined
    const mark = clientId !== undefined || jkt !== undefined ? '!' : ''
    if (key !== undefined || hasOwn || mark !== '') parts.push((key === undefined ? '-' : keyHash(key)) + mark)
    if (hasOwn) parts.push(idleTtl ?? '-', absoluteTtl ?? '-')
    fields[`s:${sid}`] = parts.join(':')
    if (label !== '') fields[`l:${sid}`] = label
    if (claims !== '') fields[`c:${sid}`] = claims
    if (clientId !== undefined) fields[`o:${sid}`] = clientId
    if (jkt !== undefined) fields[`k:${sid}`] = jkt
  }
  return fields
}
