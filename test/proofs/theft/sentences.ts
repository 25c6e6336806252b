import * as model from '../model/model.ts'
import type { Rules, Token, User } from '../model/model.ts'
import { DEVICE, KEYS, SID, sessionOf, type Asked, type Holder, type Moment, type Play } from './simulation.ts'

/** The sentences of docs/theft.md, by id. Each checks only the last step of a play, because every shorter play is checked too. */

/** Whether the sentence is true of this play; `undefined` if it does not apply. */
export type Sentence = (play: Play, rules: Rules) => boolean | undefined

const isSame = (a: Token | undefined, b: Token | undefined): boolean =>
  a !== undefined && b !== undefined && a.gen === b.gen && a.iat === b.iat && a.exp === b.exp

const isRotation = (asked: Asked | undefined): boolean => asked?.reply.outcome === 'rotated'

const other = (holder: Holder): Holder => holder === 'client' ? 'thief' : 'client'

const hasThief = (play: Play): boolean => play.some(({ asked }) => asked?.by === 'thief')

/** The last moment's request and the moment before it, if the session was live until then. */
function request (play: Play): { before: Moment, asked: Asked, index: number } | undefined {
  const index = play.length - 1
  const { asked } = play[index]!
  const before = play[index - 1]
  return asked !== undefined && before !== undefined && sessionOf(before) !== undefined ? { before, asked, index } : undefined
}

/** The moment before `index` at which exactly this token was rotated. */
function rotationOf (play: Play, token: Token, index: number): Moment | undefined {
  return play.slice(0, index).find(({ asked }) => isRotation(asked) && isSame(asked!.with, token))
}

/** The index of the last moment before `index` at which client and thief held the same token. */
function lastCommon (play: Play, index: number): number {
  let common = index - 1
  while (!isSame(play[common]!.client, play[common]!.thief)) common--
  return common
}

const refused = (user: User, rules: Rules, now: number, tokens: Token[]): boolean =>
  tokens.every(token => model.refresh(user, rules, now, KEYS, token, DEVICE).reply.outcome === 'unknown')

/** True of every play. */
export const always: Record<string, Sentence> = {
  'device-needed' (play, rules) {
    const { user, now, thief } = play.at(-1)!
    if (thief === undefined) return undefined
    const step = model.refresh(user, rules, now, KEYS, thief, 'the thief\'s own')
    return step.user === user && step.events.length === 0 && !('token' in step.reply)
  },

  'one-current' (play, rules) {
    const { user, now, made } = play.at(-1)!
    if (sessionOf(play.at(-1)!) === undefined) return undefined
    const outcomes = made.map(token => model.refresh(user, rules, now, KEYS, token, DEVICE).reply.outcome)
    return outcomes.at(-1) === 'rotated' && outcomes.slice(0, -2).every(outcome => outcome === 'reused')
  },

  'next-ends' (play, rules) {
    const last = request(play)
    const rotation = last && rotationOf(play, last.asked.with, last.index)
    if (last === undefined || rotation === undefined) return undefined
    const successor = (rotation.asked!.reply as { token: Token }).token
    const isFar = rotationOf(play, successor, last.index) !== undefined || last.before.now - rotation.now >= rules.retryWindow
    return isFar ? last.asked.reply.outcome === 'reused' && sessionOf(play.at(-1)!) === undefined : undefined
  },

  'same-token' (play, rules) {
    const last = request(play)
    const rotation = last && rotationOf(play, last.asked.with, last.index)
    if (last === undefined || rotation === undefined || last.before.now - rotation.now >= rules.retryWindow) return undefined
    const successor = (rotation.asked!.reply as { token: Token }).token
    if (rotationOf(play, successor, last.index) !== undefined) return undefined
    return 'token' in last.asked.reply && isSame(last.asked.reply.token, successor) &&
      sessionOf(play.at(-1)!)!.rotatedAt === rotation.now
  },

  'one-sided' (play) {
    const last = request(play)
    if (last === undefined || last.asked.isLost || !('token' in last.asked.reply)) return undefined
    const { by } = last.asked
    const since = play.slice(lastCommon(play, last.index) + 1, last.index)
    const otherWasAnswered = since.some(({ asked }) => asked?.by === other(by) && !asked.isLost)
    return otherWasAnswered ? isSame(play.at(-1)!.client, play.at(-1)!.thief) : undefined
  },

  'return-of-the-client' (play) {
    const last = request(play)
    if (last?.asked.by !== 'client') return undefined
    const since = play.slice(lastCommon(play, last.index) + 1, last.index)
    if (!since.some(({ asked }) => asked?.by === 'thief' && !asked.isLost)) return undefined
    const { reply } = last.asked
    return reply.outcome === 'reused' || (reply.outcome === 'retried' && isSame(reply.token, last.before.thief))
  },

  'ended-for-both' (play, rules) {
    const { user, now, made } = play.at(-1)!
    return play.some(({ asked }) => asked?.reply.outcome === 'reused') ? refused(user, rules, now, made) : undefined
  },

  'silent-client' (play) {
    return play.every(({ step }) => step !== 'c' && step !== 'l' && step !== 'x') && hasThief(play)
      ? play.every(({ asked }) => asked === undefined || isRotation(asked))
      : undefined
  },

  'no-false-alarm' (play, rules) {
    const last = request(play)
    if (last === undefined || hasThief(play)) return undefined
    const rotation = rotationOf(play, last.asked.with, last.index)
    const isLate = rotation !== undefined && last.before.now - rotation.now >= rules.retryWindow
    return isLate ? undefined : 'token' in last.asked.reply
  },

  'late-repeat' (play, rules) {
    const last = request(play)
    if (last === undefined || hasThief(play) || last.asked.reply.outcome !== 'reused') return undefined
    const rotation = rotationOf(play, last.asked.with, last.index)!
    return rotation.asked!.isLost && last.before.now - rotation.now >= rules.retryWindow
  },

  'one-log-in' (play, rules) {
    const { user, now, made } = play.at(-1)!
    const login = { sid: 'new', device: DEVICE, label: '', email: 'guest@keygenqt.com', role: 'GUEST' }
    return refused(model.open(user, rules, now, login).user, rules, now, made)
  },

  'log-out' (play, rules) {
    const { user, now, made } = play.at(-1)!
    return refused(model.revoke(user, now, SID).user, rules, now, made)
  },

  'other-devices' (play) {
    const find = ({ user }: Moment): unknown => user?.sessions.find(({ sid }) => sid === 'other')
    return find(play.at(-1)!) !== undefined && find(play.at(-1)!) === find(play[0]!)
  }
}

/** True of every play when the window is zero. */
export const withoutWindow: Record<string, Sentence> = {
  'zero-one-heir' (play) {
    const last = play.at(-1)!
    const askers = new Set(play.flatMap(({ asked }) => asked === undefined ? [] : [asked.by]))
    return askers.size === 2 ? sessionOf(last) === undefined : undefined
  },

  'zero-lost-answer' (play) {
    const last = request(play)
    const earlier = last && play.slice(0, last.index).some(({ asked }) => asked?.by === last.asked.by && asked.isLost)
    return earlier === true ? last!.asked.reply.outcome === 'reused' : undefined
  }
}

/** True of every play with an absolute lifetime short enough to end during it. */
export const shortLived: Record<string, Sentence> = {
  'absolute-end' (play, rules) {
    const last = request(play)
    return last !== undefined && last.before.now >= rules.absoluteTtl ? !('token' in last.asked.reply) : undefined
  }
}

const answers = (play: Play, holder: Holder): number => play.filter(({ asked }) => asked?.by === holder && 'token' in asked.reply).length

/** True of at least one play: attacks that can't be excluded. */
export const sometimes: Record<string, (play: Play) => boolean> = {
  'two-requests': play => answers(play, 'thief') === 1 && answers(play, 'client') === 0 && play.at(-1)!.asked?.reply.outcome === 'reused' &&
    play.at(-1)!.asked!.by === 'client',
  'three-requests': play => answers(play, 'thief') === 2 && answers(play, 'client') === 0 && play.at(-1)!.asked?.reply.outcome === 'reused' &&
    play.at(-1)!.asked!.by === 'client' && play.every(({ step }) => step !== 'h'),
  'lock-step': play => answers(play, 'thief') === 4 && answers(play, 'client') === 4 && sessionOf(play.at(-1)!) !== undefined
}
