import * as model from '../model/model.ts'
import type { Refreshed, Rules, Token, User } from '../model/model.ts'

/**
 * A client and a thief hold the same token of one session, and both know the device id. The simulation runs every order of
 * their steps on the model, which test/proofs/model compares with the real store.
 */

/** The meaning of each letter. A refresh whose answer is lost has taken effect, but the sender keeps the old token. */
export const STEPS = {
  c: 'the client refreshes',
  l: 'the client refreshes, and the answer is lost',
  t: 'the thief refreshes',
  x: 'the thief refreshes, and the answer is lost',
  h: 'half of the window passes',
  k: 'the thief copies the storage of the client again'
} as const

export type Step = keyof typeof STEPS

/** The steps after a single theft. */
export const ONCE = ['c', 'l', 't', 'x', 'h'] as const satisfies Step[]

/** The steps of a thief who copies the storage at any moment. */
export const AGAIN = Object.keys(STEPS) as Step[]

export type Holder = 'client' | 'thief'

/** `key` is the Idempotency-Key. */
export interface Asked { by: Holder, with: Token, key: string | undefined, reply: Refreshed, isLost: boolean }

/**
 * The Idempotency-Keys that the two send. With `none`, neither sends one. Otherwise the client sends a new key with each token, and
 * repeats it with that token. The thief copied the token, but not its key, and sends none (`client`) or keys of its own (`both`); or
 * it copied the token together with the client's key (`copied`), and sends keys of its own with later tokens. A second
 * copy is of the same kind. With `bound`, neither sends one: the session is bound to a key of the client that can't be copied, and the
 * thief proves none.
 */
export type Keys = 'none' | 'client' | 'both' | 'copied' | 'bound'

/** The thumbprint of the client's key in a bound session. */
export const JKT = 'thumbprint'

/** One step, and the state after it. */
export interface Moment {
  /** `undefined` at the theft, when both hold the same token. */
  step: Step | undefined
  now: number
  user: User
  /** Tokens of the client and the thief; `undefined` after a refusal. */
  client: Token | undefined
  thief: Token | undefined
  /** The generation of the last copied token. */
  copied: number
  /** Every token of the session so far, including tokens in lost answers. */
  made: Token[]
  /** The request of this step and its answer; `undefined` for a step without a request. */
  asked: Asked | undefined
}

/** The moments from the theft to now. */
export type Sequence = readonly Moment[]

export const DEVICE = 'phone'
export const SID = 'stolen'
const OTHER = { sid: 'other', device: 'laptop', label: '', email: 'guest@keygenqt.com', role: 'GUEST' }

export const KEYS = ['key']

/** Two sessions of one user: the stolen one, and one of another device. */
export function theft (rules: Rules, keys: Keys = 'none'): Moment {
  const { user } = model.open(null, rules, 0, OTHER)
  const opened = model.open(user, rules, 0, { ...OTHER, sid: SID, device: DEVICE, ...keys === 'bound' && { jkt: JKT } })
  const { gen, rotatedAt: iat, expiresAt: exp } = opened.user!.sessions.at(-1)!
  const token = { key: KEYS[0]!, sid: SID, gen, iat, exp }
  return { step: undefined, now: 0, user: opened.user, client: token, thief: token, copied: gen, made: [token], asked: undefined }
}

/** The stolen session. */
export function sessionOf ({ user }: Moment): model.Session | undefined {
  return user?.sessions.find(({ sid }) => sid === SID)
}

function keyOf (by: Holder, { gen }: Token, keys: Keys, copied: number): string | undefined {
  if (keys === 'none' || keys === 'bound' || (by === 'thief' && keys === 'client')) return undefined
  return by === 'client' || (keys === 'copied' && gen === copied) ? `client ${gen}` : `thief ${gen}`
}

/** The moment after a step; `undefined` if the holder has no token for it, or the thief has this copy already. */
export function after (moment: Moment, step: Step, rules: Rules, keys: Keys): Moment | undefined {
  switch (step) {
    case 'h': return { ...moment, step, now: moment.now + Math.max(1, rules.retryWindow / 2), asked: undefined }
    case 'k': return copy(moment, step)
    case 'c': return ask(moment, step, 'client', false, rules, keys)
    case 'l': return ask(moment, step, 'client', true, rules, keys)
    case 't': return ask(moment, step, 'thief', false, rules, keys)
    case 'x': return ask(moment, step, 'thief', true, rules, keys)
  }
}

function copy (moment: Moment, step: Step): Moment | undefined {
  const { client, thief, copied } = moment
  if (client === undefined || (client === thief && client.gen === copied)) return undefined
  return { ...moment, step, thief: client, copied: client.gen, asked: undefined }
}

/** The key that a request proves: a thief has none. */
export const provedBy = (by: Holder, keys: Keys): string | undefined => keys === 'bound' && by === 'client' ? JKT : undefined

function ask (moment: Moment, step: Step, by: Holder, isLost: boolean, rules: Rules, keys: Keys): Moment | undefined {
  const token = moment[by]
  if (token === undefined) return undefined
  const key = keyOf(by, token, keys, moment.copied)
  const { user, reply } = model.refresh(moment.user, rules, moment.now, KEYS, token, DEVICE, { key, jkt: provedBy(by, keys) })
  const next: Moment = { ...moment, step, user, asked: { by, with: token, key, reply, isLost } }
  if (reply.outcome === 'rotated') next.made = [...moment.made, reply.token]
  if (!isLost) next[by] = 'token' in reply ? reply.token : undefined
  return next
}

/** Runs every sequence of up to `depth` of the given steps, and calls `visit` with each. Returns the number of sequences. */
export function explore (
  rules: Rules, keys: Keys, depth: number, visit: (sequence: Sequence) => void, steps: readonly Step[] = ONCE
): number {
  const sequence: Moment[] = [theft(rules, keys)]
  let plays = 0
  const go = (left: number): void => {
    plays++
    visit(sequence)
    const now = sequence.at(-1)!
    // After the session's end one more step is played; further steps could change nothing.
    if (left === 0 || (sequence.length > 1 && sessionOf(sequence.at(-2)!) === undefined)) return
    for (const step of steps) {
      const next = after(now, step, rules, keys)
      if (next === undefined) continue
      sequence.push(next)
      go(left - 1)
      sequence.pop()
    }
  }
  go(depth)
  return plays
}

/** The steps of a sequence as letters: `cth`. */
export function spell (sequence: Sequence): string {
  return sequence.map(({ step }) => step ?? '').join('')
}
