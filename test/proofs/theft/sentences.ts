import * as model from '../model/model.ts'
import type { Rules, Token, User } from '../model/model.ts'
import { DEVICE, KEYS, SID, sessionOf, type Asked, type Holder, type Moment, type Sequence } from './simulation.ts'

/** The sentences of docs/theft.md, by id. Each checks only the last step of a sequence, because every shorter sequence is checked too. */

/** Whether the sentence is true of this sequence; `undefined` if it does not apply. */
export type Sentence = (sequence: Sequence, rules: Rules) => boolean | undefined

const isSame = (a: Token | undefined, b: Token | undefined): boolean =>
  a !== undefined && b !== undefined && a.gen === b.gen && a.iat === b.iat && a.exp === b.exp

const isRotation = (asked: Asked | undefined): boolean => asked?.reply.outcome === 'rotated'

const other = (holder: Holder): Holder => holder === 'client' ? 'thief' : 'client'

const hasThief = (sequence: Sequence): boolean => sequence.some(({ asked }) => asked?.by === 'thief')

/** The last moment's request and the moment before it, if the session was live until then. */
function request (sequence: Sequence): { before: Moment, asked: Asked, index: number } | undefined {
  const index = sequence.length - 1
  const { asked } = sequence[index]!
  const before = sequence[index - 1]
  return asked !== undefined && before !== undefined && sessionOf(before) !== undefined ? { before, asked, index } : undefined
}

/** The moment before `index` at which exactly this token was rotated. */
function rotationOf (sequence: Sequence, token: Token, index: number): Moment | undefined {
  return sequence.slice(0, index).find(({ asked }) => isRotation(asked) && isSame(asked!.with, token))
}

/** Whether a request has the Idempotency-Key of the rotation that used up its token. */
const isRepeat = (asked: Asked, rotation: Moment): boolean => asked.key !== undefined && asked.key === rotation.asked!.key

/** The token that the rotation made. */
const successorOf = ({ asked }: Moment): Token => (asked!.reply as { token: Token }).token

/** The index of the last moment before `index` at which client and thief held the same token. */
function lastCommon (sequence: Sequence, index: number): number {
  let common = index - 1
  while (!isSame(sequence[common]!.client, sequence[common]!.thief)) common--
  return common
}

const refused = (user: User, rules: Rules, now: number, tokens: Token[]): boolean =>
  tokens.every(token => model.refresh(user, rules, now, KEYS, token, DEVICE).reply.outcome === 'unknown')

/** True of every sequence. */
export const always: Record<string, Sentence> = {
  'device-needed' (sequence, rules) {
    const { user, now, thief } = sequence.at(-1)!
    if (thief === undefined) return undefined
    const changesNothing = (step: model.Step<unknown>): boolean => step.user === user && step.events.length === 0
    const refresh = model.refresh(user, rules, now, KEYS, thief, 'the thief\'s own')
    // Once the session has ended, a log-out is answered 204 whatever the device, and has nothing to end.
    const cannotEnd = sessionOf(sequence.at(-1)!) === undefined || changesNothing(model.logOut(user, now, SID, 'the thief\'s own'))
    return changesNothing(refresh) && !('token' in refresh.reply) && cannotEnd
  },

  'one-current' (sequence, rules) {
    const { user, now, made } = sequence.at(-1)!
    if (sessionOf(sequence.at(-1)!) === undefined) return undefined
    const outcomes = made.map(token => model.refresh(user, rules, now, KEYS, token, DEVICE).reply.outcome)
    return outcomes.at(-1) === 'rotated' && outcomes.slice(0, -2).every(outcome => outcome === 'reused')
  },

  'next-ends' (sequence, rules) {
    const last = request(sequence)
    const rotation = last && rotationOf(sequence, last.asked.with, last.index)
    if (last === undefined || rotation === undefined) return undefined
    const isLate = last.before.now - rotation.now >= rules.retryWindow && !isRepeat(last.asked, rotation)
    const isFar = isLate || rotationOf(sequence, successorOf(rotation), last.index) !== undefined
    return isFar ? last.asked.reply.outcome === 'reused' && sessionOf(sequence.at(-1)!) === undefined : undefined
  },

  'same-token' (sequence, rules) {
    const last = request(sequence)
    const rotation = last && rotationOf(sequence, last.asked.with, last.index)
    if (last === undefined || rotation === undefined) return undefined
    if (last.before.now - rotation.now >= rules.retryWindow && !isRepeat(last.asked, rotation)) return undefined
    const successor = successorOf(rotation)
    if (rotationOf(sequence, successor, last.index) !== undefined) return undefined
    return 'token' in last.asked.reply && isSame(last.asked.reply.token, successor) &&
      sessionOf(sequence.at(-1)!)!.rotatedAt === rotation.now
  },

  'one-sided' (sequence) {
    const last = request(sequence)
    if (last === undefined || last.asked.isLost || !('token' in last.asked.reply)) return undefined
    const { by } = last.asked
    const since = sequence.slice(lastCommon(sequence, last.index) + 1, last.index)
    const otherWasAnswered = since.some(({ asked }) => asked?.by === other(by) && !asked.isLost)
    return otherWasAnswered ? isSame(sequence.at(-1)!.client, sequence.at(-1)!.thief) : undefined
  },

  'return-of-the-client' (sequence) {
    const last = request(sequence)
    if (last?.asked.by !== 'client') return undefined
    const since = sequence.slice(lastCommon(sequence, last.index) + 1, last.index)
    if (!since.some(({ asked }) => asked?.by === 'thief' && !asked.isLost)) return undefined
    const { reply } = last.asked
    return reply.outcome === 'reused' || (reply.outcome === 'retried' && isSame(reply.token, last.before.thief))
  },

  'ended-for-both' (sequence, rules) {
    const { user, now, made } = sequence.at(-1)!
    return sequence.some(({ asked }) => asked?.reply.outcome === 'reused') ? refused(user, rules, now, made) : undefined
  },

  'silent-client' (sequence) {
    return sequence.every(({ step }) => step !== 'c' && step !== 'l' && step !== 'x' && step !== 'k') && hasThief(sequence)
      ? sequence.every(({ asked }) => asked === undefined || isRotation(asked))
      : undefined
  },

  'no-false-alarm' (sequence, rules) {
    const last = request(sequence)
    if (last === undefined || hasThief(sequence)) return undefined
    const rotation = rotationOf(sequence, last.asked.with, last.index)
    const isLate = rotation !== undefined && last.before.now - rotation.now >= rules.retryWindow
    return isLate ? undefined : 'token' in last.asked.reply
  },

  'late-repeat' (sequence, rules) {
    const last = request(sequence)
    if (last === undefined || hasThief(sequence) || last.asked.reply.outcome !== 'reused') return undefined
    const rotation = rotationOf(sequence, last.asked.with, last.index)!
    return rotation.asked!.isLost && last.before.now - rotation.now >= rules.retryWindow
  },

  'one-log-in' (sequence, rules) {
    const { user, now, made } = sequence.at(-1)!
    const login = { sid: 'new', device: DEVICE, label: '', email: 'guest@keygenqt.com', role: 'GUEST' }
    return refused(model.open(user, rules, now, login).user, rules, now, made)
  },

  'log-out' (sequence, rules) {
    const { user, now, made } = sequence.at(-1)!
    return refused(model.logOut(user, now, SID, DEVICE).user, rules, now, made)
  },

  'other-devices' (sequence) {
    const find = ({ user }: Moment): unknown => user?.sessions.find(({ sid }) => sid === 'other')
    return find(sequence.at(-1)!) !== undefined && find(sequence.at(-1)!) === find(sequence[0]!)
  }
}

/** The copied token, presented by the thief after the client has used it up. */
function stolen (sequence: Sequence): { asked: Asked, isUsed: boolean, rotation: Moment, age: number } | undefined {
  const last = request(sequence)
  if (last?.asked.by !== 'thief' || last.asked.with.gen !== last.before.copied) return undefined
  const rotation = rotationOf(sequence, last.asked.with, last.index)
  if (rotation?.asked!.by !== 'client') return undefined
  const isUsed = rotationOf(sequence, successorOf(rotation), last.index) !== undefined
  return { asked: last.asked, isUsed, rotation, age: last.before.now - rotation.now }
}

/** True of every sequence in which the client sends Idempotency-Keys. */
export const withKeys: Record<string, Sentence> = {
  'key-no-log-out' (sequence) {
    const last = request(sequence)
    return last === undefined || hasThief(sequence) ? undefined : 'token' in last.asked.reply
  },

  'key-worthless-later' (sequence) {
    const theft = stolen(sequence)
    return theft?.isUsed === true ? theft.asked.reply.outcome === 'reused' : undefined
  }
}

/** True of every sequence in which the thief has not copied the client's key. */
export const withoutCopiedKey: Record<string, Sentence> = {
  'key-token-alone' (sequence, rules) {
    const theft = stolen(sequence)
    return theft !== undefined && theft.age >= rules.retryWindow ? theft.asked.reply.outcome === 'reused' : undefined
  },

  'key-late-client' (sequence, rules) {
    const last = request(sequence)
    const rotation = last && rotationOf(sequence, last.asked.with, last.index)
    if (last?.asked.by !== 'client' || rotation?.asked!.by !== 'thief') return undefined
    return last.before.now - rotation.now >= rules.retryWindow ? last.asked.reply.outcome === 'reused' : undefined
  }
}

/** True of every sequence in which the thief has copied the token together with the client's key. */
export const withCopiedKey: Record<string, Sentence> = {
  'key-copied' (sequence) {
    const theft = stolen(sequence)
    if (theft === undefined || theft.isUsed) return undefined
    const { asked: { reply }, rotation } = theft
    return 'token' in reply && isSame(reply.token, successorOf(rotation))
  },

  'key-not-inherited' (sequence, rules) {
    const last = request(sequence)
    const rotation = last && rotationOf(sequence, last.asked.with, last.index)
    if (last?.asked.by !== 'thief' || last.asked.with.gen === last.before.copied || rotation?.asked!.by !== 'client') return undefined
    return last.before.now - rotation.now >= rules.retryWindow ? last.asked.reply.outcome === 'reused' : undefined
  }
}

/** True of every sequence when the window is zero. */
export const withoutWindow: Record<string, Sentence> = {
  'zero-one-heir' (sequence) {
    const last = sequence.at(-1)!
    const askers = new Set(sequence.flatMap(({ asked }) => asked === undefined ? [] : [asked.by]))
    return askers.size === 2 ? sessionOf(last) === undefined : undefined
  },

  'zero-lost-answer' (sequence) {
    const last = request(sequence)
    const earlier = last && sequence.slice(0, last.index).some(({ asked }) => asked?.by === last.asked.by && asked.isLost)
    return earlier === true ? last!.asked.reply.outcome === 'reused' : undefined
  }
}

/** True of every sequence when the window is zero, the client sends Idempotency-Keys, and the thief has not copied one. */
export const withKeysAlone: Record<string, Sentence> = {
  'key-zero-one-heir': withoutWindow['zero-one-heir']!
}

/** True of every sequence with an absolute lifetime short enough to end during it. */
export const shortLived: Record<string, Sentence> = {
  'absolute-end' (sequence, rules) {
    const last = request(sequence)
    return last !== undefined && last.before.now >= rules.absoluteTtl ? !('token' in last.asked.reply) : undefined
  }
}

const answers = (sequence: Sequence, holder: Holder): number => sequence.filter(({ asked }) => asked?.by === holder && 'token' in asked.reply).length

/** True of at least one sequence: attacks that can't be excluded. */
export const sometimes: Record<string, (sequence: Sequence) => boolean> = {
  'two-requests': sequence => answers(sequence, 'thief') === 1 && answers(sequence, 'client') === 0 && sequence.at(-1)!.asked?.reply.outcome === 'reused' &&
    sequence.at(-1)!.asked!.by === 'client',
  'three-requests': sequence => answers(sequence, 'thief') === 2 && answers(sequence, 'client') === 0 && sequence.at(-1)!.asked?.reply.outcome === 'reused' &&
    sequence.at(-1)!.asked!.by === 'client' && sequence.every(({ step }) => step !== 'h'),
  'lock-step': sequence => answers(sequence, 'thief') === 4 && answers(sequence, 'client') === 4 && sessionOf(sequence.at(-1)!) !== undefined
}

/** True of at least one sequence in which the thief has copied the token together with the client's key. */
export const sometimesWithCopiedKey: Record<string, (sequence: Sequence) => boolean> = {
  'key-late-copy': sequence => {
    const { user, client, thief, now } = sequence.at(-1)!
    return now >= 60 && isSame(client, thief) && answers(sequence, 'thief') === 1 && answers(sequence, 'client') === 1 && user !== null
  }
}

/** True of a session that is bound to a key of the client. */
export const withBoundSession: Record<string, Sentence> = {
  'bound-worthless' (sequence) {
    const found = request(sequence)
    if (found?.asked.by !== 'thief') return undefined
    return found.asked.reply.outcome === 'key_mismatch' && sequence.at(-1)!.user === found.before.user
  },
  'bound-no-log-out' (sequence) {
    const found = request(sequence)
    return found?.asked.by === 'client' ? 'token' in found.asked.reply : undefined
  }
}
