import type { Generation } from '#src/tokens/claims'
import type { Claims } from '#src/tokens/custom-claims'
import { userIdJson, type UserId } from '#src/tokens/user-id'
import { eventsChannel, hashDevice, hashIdempotencyKey, importedKey, issuerKey, signingKeysKey, userKey } from '#src/redis/records'
import type { Call, Profile, Reply } from './replies.ts'
import { sources, type ScriptName, type Scripts } from './scripts.ts'
import { CLIENT } from '#src/settings/api-keys'

/** The keys and arguments of every script, in the order that its header in lua/ documents. */

/** Arguments of EVAL: the source, the number of keys, one key, and ARGV. */
export type EvalArguments = [source: string, keys: 1, key: string, ...argv: Array<string | number>]

/** A script to run on records that one server holds. */
export interface Command extends Call {
  /** The session that the script opens, if it can open one. */
  opens?: string
  /** KEYS: records or import markers. */
  keys: string[]
  channel: string
  /** ARGV from the third on. The runner adds the deadline of each attempt. */
  argv: Array<string | number>
}

/** Settings that the scripts need; times in seconds. */
export interface CommandOptions {
  /** The prefix of all keys. */
  prefix: string
  /** Seconds a session lives without a refresh. */
  idleTtl: number
  /** Maximum lifetime of a session, seconds. */
  absoluteTtl: number
  /** Seconds after a rotation in which the previous token gets the current token again; 0 turns retries off. */
  retryWindow: number
  maxSessionsPerUser: number
}

/** The fields of a profile to change. */
export interface ProfileChange extends Partial<Profile> {
  /** Replaces all claims of the user. */
  userClaims?: Claims
}

/** Without `email` or `role`, the record keeps its own. */
export interface NewSession extends Partial<Profile> {
  userId: UserId
  /** Without it the session has no device: it replaces no other, and `rotate` refuses every device. */
  deviceId?: string
  label?: string
  /** Seconds, if shorter than the configured `idleTtl`. */
  idleTtl?: number
  /** Seconds, if shorter than the configured `absoluteTtl`. */
  absoluteTtl?: number
  /** When the log-in began, in Unix seconds by the caller's clock; fractions allowed. */
  authenticatedAt?: number
  /** Replaces all claims of the user; without it, they stay. */
  userClaims?: Claims
  sessionClaims?: Claims
  /** The OAuth client that the session belongs to: only the OAuth routes refresh it, for this client. */
  clientId?: string
  /** The thumbprint of the key that every refresh must prove (RFC 9449, RFC 7638). */
  jkt?: string
}

/** The part of a verified refresh token that decides a refresh. */
export type PresentedToken = Pick<Generation, 'id' | 'sid' | 'gen' | 'exp'>

/** What a client presents beside its token and device. */
export interface Credentials {
  /** The request's `Idempotency-Key`. */
  idempotencyKey?: string | undefined
  /**
   * Several requests share the token, as the tabs of a browser share a cookie. For the retry window after a rotation, the current token
   * is repeated (`retried`) and not rotated.
   */
  shared?: boolean | undefined
  /** The OAuth client. Without it, only a session without a client is refreshed or ended. */
  clientId?: string | undefined
  /** The thumbprint of the key that the request proves. A session without a key gets this one at its refresh. */
  jkt?: string | undefined
}

/** A verified refresh token, and the client that presented it; without a device, only for a session that has none. */
export interface Presentation {
  token: PresentedToken
  deviceId: string | undefined
  credentials: Credentials
}

export interface Commands {
  open (sid: string, session: NewSession): Command
  /** In a Cluster, of one presentation: the others' records may be on other servers. */
  rotate (presentations: Presentation[]): Command
  /** The refresh of an imported session with its legacy token, which is its generation 0. */
  trade (presentation: Presentation): Command
  /** Finds the users of imported sessions, each by the hash of its legacy token or by its sid. */
  findImported (names: string[]): Command
  revoke (userId: UserId, sid: string, reason?: 'logout' | 'reuse'): Command
  /** Ends the session of a token, if the device and the client are its own. */
  logOut (token: Pick<PresentedToken, 'id' | 'sid'>, deviceId: string | undefined, clientId?: string): Command
  revokeAll (userId: UserId, except?: string): Command
  erase (userId: UserId): Command
  list (userId: UserId): Command
  /** As `list`, and the whole record. */
  read (userId: UserId): Command
  find (userId: UserId, sid: string): Command
  findRefreshable (token: PresentedToken): Command
  updateProfile (userId: UserId, profile: ProfileChange): Command
}

/** `caller` is for the observers of the commands. */
export function createCommands (
  { prefix, idleTtl, absoluteTtl, retryWindow, maxSessionsPerUser }: CommandOptions, caller = CLIENT
): Commands {
  const channel = eventsChannel(prefix)
  const on = (userId: UserId, script: ScriptName, argv: Array<string | number>): Command =>
    ({ script, keys: [userKey(prefix, userId)], channel, argv: [userIdJson(userId), ...argv], users: [userId], caller })

  function rotate (presentations: Presentation[]): Command {
    const keys: string[] = []
    const users: UserId[] = []
    const argv: Command['argv'] = [idleTtl, absoluteTtl, retryWindow]
    for (const { token: { id, sid, gen, exp }, deviceId, credentials } of presentations) {
      const { idempotencyKey, clientId = '', jkt = '-', shared = false } = credentials
      keys.push(userKey(prefix, id))
      users.push(id)
      const attempt = idempotencyKey === undefined ? '-' : hashIdempotencyKey(idempotencyKey)
      // One argument for each refresh instead of nine. The client comes last, because it may contain colons.
      argv.push(`${userIdJson(id)}:${sid}:${gen}:${exp}:${device(deviceId)}:${attempt}:${jkt}:${shared ? '+' : '-'}:${clientId}`)
    }
    return { script: 'rotate', keys, channel, argv, users, caller }
  }

  return {
    open: (sid, { userId, deviceId, label = '', email = '', role = '', authenticatedAt = '', ...own }) => ({
      ...on(userId, 'open', [
        sid, device(deviceId), label, email, role, idleTtl, absoluteTtl, maxSessionsPerUser,
        authenticatedAt, own.idleTtl ?? '', own.absoluteTtl ?? '', claimsText(own.userClaims), claimsText(own.sessionClaims),
        own.clientId ?? '', own.jkt ?? ''
      ]),
      opens: sid
    }),
    rotate,
    trade: presentation => ({ ...rotate([presentation]), opens: presentation.token.sid }),
    findImported: names =>
      ({ script: 'find-imported', keys: names.map(name => importedKey(prefix, name)), channel, argv: [], users: [], caller }),
    revoke: (userId, sid, reason = 'logout') => on(userId, 'revoke', [sid, reason]),
    logOut: ({ id, sid }, deviceId, clientId = '') => on(id, 'revoke', [sid, 'logout', device(deviceId), clientId]),
    revokeAll: (userId, except = '') => on(userId, 'revoke-all', [except]),
    erase: userId => on(userId, 'erase', []),
    list: userId => on(userId, 'list', ['']),
    read: userId => on(userId, 'list', ['record']),
    find: (userId, sid) => on(userId, 'find', [sid]),
    findRefreshable: ({ id, sid, gen, exp }) => on(id, 'find', [sid, gen, exp, absoluteTtl, retryWindow]),
    updateProfile: (userId, { email = '', role = '', userClaims }) =>
      on(userId, 'update-profile', [email, role, claimsText(userClaims)])
  }
}

/** A device as the record has it; '-' for none. */
function device (deviceId: string | undefined): string {
  return deviceId === undefined ? '-' : hashDevice(deviceId)
}

/** Claims as the record has them; '' if none are given. */
function claimsText (claims?: Claims): string {
  return claims === undefined ? '' : JSON.stringify(claims)
}

/** Sends a command once; `deadline` is in Unix milliseconds by Redis's clock. */
export function send (scripts: Scripts, { script, keys, channel, argv }: Command, deadline: number): Promise<Reply> {
  return scripts[script](keys.length, ...keys, channel, deadline, ...argv) as Promise<Reply>
}

/** Checks whether the server of a key would run a refresh. */
export function checkWritable (scripts: Scripts, key: string): Promise<Reply> {
  return scripts['check-writable'](1, key) as Promise<Reply>
}

/** Gives a prefix to an issuer for `seconds`, unless another issuer has it. */
export function claimIssuer (prefix: string, issuer: string, seconds: number): EvalArguments {
  return [sources['claim-issuer'], 1, issuerKey(prefix), issuer, seconds]
}

/** Records the keys that a replica signs with, for `seconds`. */
export function announceKeys (prefix: string, names: string[], seconds: number): EvalArguments {
  return [sources['announce-keys'], 1, signingKeysKey(prefix), seconds, ...names]
}
