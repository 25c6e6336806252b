import * as model from '../model/model.ts'
import type { Refreshed, Rules, Token, User } from '../model/model.ts'

/**
 * A client and a thief who hold the same token of one session, and know the same device's id. Every order of their
 * steps is played, on the model that test/model holds against the real store.
 */

/** What each letter does. A lost answer has taken effect, and its holder goes on with the token it has. */
export const STEPS = {
  c: 'the client refreshes',
  l: 'the client refreshes, and the answer is lost',
  t: 'the thief refreshes',
  x: 'the thief refreshes, and the answer is lost',
  h: 'half of the window passes'
} as const

export type Step = keyof typeof STEPS
export type Holder = 'client' | 'thief'

export interface Asked { by: Holder, with: Token, reply: Refreshed, isLost: boolean }

/** One step, and how things stand after it. */
export interface Moment {
  /** `undefined` at the theft, when both hold one token. */
  step: Step | undefined
  now: number
  user: User
  /** The token that each holds; `undefined` for one who was refused. */
  client: Token | undefined
  thief: Token | undefined
  /** Every token of the session so far, also those that were lost. */
  made: Token[]
  /** Who asked with what, and what was said. */
  asked: Asked | undefined
}

/** From the theft to now. */
export type Play = readonly Moment[]

export const DEVICE = 'phone'
export const SID = 'stolen'
const OTHER = { sid: 'other', device: 'laptop', label: '', email: 'guest@keygenqt.com', role: 'GUEST' }

export const KEYS = ['key']

/** Two sessions of one user: the one whose token is copied, and another device's. */
export function theft (rules: Rules): Moment {
  const { user } = model.open(null, rules, 0, OTHER)
  const opened = model.open(user, rules, 0, { ...OTHER, sid: SID, device: DEVICE })
  const { gen, rotatedAt: iat, expiresAt: exp } = opened.user!.sessions.at(-1)!
  const token = { key: KEYS[0]!, sid: SID, gen, iat, exp }
  return { step: undefined, now: 0, user: opened.user, client: token, thief: token, made: [token], asked: undefined }
}

/** The session in question. */
export function sessionOf ({ user }: Moment): model.Session | undefined {
  return user?.sessions.find(({ sid }) => sid === SID)
}

/** What a step makes of a moment; `undefined` when there is nothing to do it with. */
export function after (moment: Moment, step: Step, rules: Rules): Moment | undefined {
  switch (step) {
    case 'h': return { ...moment, step, now: moment.now + Math.max(1, rules.retryWindow / 2), asked: undefined }
    case 'c': return ask(moment, step, 'client', false, rules)
    case 'l': return ask(moment, step, 'client', true, rules)
    case 't': return ask(moment, step, 'thief', false, rules)
    case 'x': return ask(moment, step, 'thief', true, rules)
  }
}

function ask (moment: Moment, step: Step, by: Holder, isLost: boolean, rules: Rules): Moment | undefined {
  const token = moment[by]
  if (token === undefined) return undefined
  const { user, reply } = model.refresh(moment.user, rules, moment.now, KEYS, token, DEVICE)
  const next: Moment = { ...moment, step, user, asked: { by, with: token, reply, isLost } }
  if (reply.outcome === 'rotated') next.made = [...moment.made, reply.token]
  if (!isLost) next[by] = 'token' in reply ? reply.token : undefined
  return next
}

/** Plays every order of up to `depth` steps, and shows each to `visit`. Returns how many there were. */
export function explore (rules: Rules, depth: number, visit: (play: Play) => void): number {
  const play: Moment[] = [theft(rules)]
  let plays = 0
  const go = (left: number): void => {
    plays++
    visit(play)
    const now = play.at(-1)!
    // Of an ended session one step more is played: nothing that could change is left.
    if (left === 0 || (play.length > 1 && sessionOf(play.at(-2)!) === undefined)) return
    for (const step of Object.keys(STEPS) as Step[]) {
      const next = after(now, step, rules)
      if (next === undefined) continue
      play.push(next)
      go(left - 1)
      play.pop()
    }
  }
  go(depth)
  return plays
}

/** The steps of a play, to be read: `ctw`. */
export function spell (play: Play): string {
  return play.map(({ step }) => step ?? '').join('')
}
