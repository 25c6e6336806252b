import * as model from '../model/model.ts'
import type { Rules, Token, User } from '../model/model.ts'
import type { Specification } from './checker.ts'

/**
 * The sequential specification of one user's sessions, as clients and other services see them: the model of test/model. Its
 * seconds stand still, because no session expires in a history and the window is never near its end; its milliseconds count
 * the log-ins, log-outs everywhere and changes of the profile, which take effect in an order, whatever the clocks show.
 */

/** A token as its holder has it. */
export interface Held { bytes: string, sid: string, gen: number, device: string }

/** A log-in under way: its name, and when it began, in seconds by the login service's clock. */
export interface Login { name: string, authenticatedAt: number }

export type Call =
  | { type: 'authenticate', name: string }
  | { type: 'open', device: string, label: string, login?: Login | undefined }
  | { type: 'refresh', token: Held }
  | { type: 'revoke', sid: string }
  | { type: 'revokeAll' }
  | { type: 'updateProfile', role: string }
  | { type: 'list' }

export type Answer =
  | { type: 'authenticated', login: Login }
  | { type: 'tokens', token: Held, role: string }
  | { type: 'refused' }
  | { type: 'done' }
  /** Whether the user had a session. */
  | { type: 'updated', updated: boolean }
  /** Labels, which name the calls that opened the sessions, with generations; sorted. */
  | { type: 'listed', sessions: string[] }

/** The record, of each session the current token's bytes, as far as anybody was told, and when each log-in began. */
export interface State { ms: number, user: User, current: Record<string, string>, logins: Record<string, number> }

/** What every log-in knows of the user. */
export const PROFILE = { email: 'guest@keygenqt.com', role: 'GUEST' }

const KEYS = ['key']

/** `retryWindow` is 0, or so long that no history lasts longer. */
export function sessions (retryWindow: number): Specification<State, Call, Answer> {
  const rules: Rules = { idleTtl: 1000, absoluteTtl: 1000, retryWindow, maxSessionsPerUser: 50 }
  return {
    initial: { ms: 0, user: null, current: {}, logins: {} },
    key: state => JSON.stringify(state),
    step (before, call, answer) {
      const state = { ...before, ms: before.ms + 1 }
      switch (call.type) {
        case 'authenticate': return { ...state, logins: { ...state.logins, [call.name]: state.ms } }
        case 'open': return open(state, rules, call, answer)
        case 'refresh': return refresh(before, rules, call.token, answer)
        case 'revoke': return { ...before, user: model.revoke(before.user, 0, call.sid).user }
        case 'revokeAll': return { ...state, user: model.revokeAll(state.user, state.ms).user }
        case 'updateProfile': {
          const { user, reply } = model.updateProfile(state.user, state.ms, { role: call.role })
          return answer?.type !== 'updated' || answer.updated === reply ? { ...state, user } : undefined
        }
        case 'list': {
          const listed = model.list(before.user, 0).reply.map(({ label, gen }) => `${label} ${gen}`).sort()
          return answer?.type !== 'listed' || JSON.stringify(answer.sessions) === JSON.stringify(listed) ? before : undefined
        }
      }
    }
  }
}

function open (
  state: State, rules: Rules, { device, label, login }: Call & { type: 'open' }, answer: Answer | undefined
): State | undefined {
  // Nobody can speak of a session whose opener lost the answer, but the list shows it.
  const sid = answer?.type === 'tokens' ? answer.token.sid : `lost ${label}`
  const authenticatedAt = login && state.logins[login.name]! / 1000
  const { user, reply } = model.open(state.user, rules, state.ms, { sid, device, label, ...PROFILE, authenticatedAt })
  if (reply.outcome !== 'opened') return answer === undefined || answer.type === 'refused' ? state : undefined
  if (answer === undefined) return { ...state, user }
  if (answer.type !== 'tokens' || answer.role !== reply.role) return undefined
  return { ...state, user, current: { ...state.current, [sid]: answer.token.bytes } }
}

function refresh (state: State, rules: Rules, held: Held, answer: Answer | undefined): State | undefined {
  const token: Token = { key: KEYS[0]!, sid: held.sid, gen: held.gen, iat: 0, exp: Infinity }
  const { user, reply } = model.refresh(state.user, rules, 0, KEYS, token, held.device)
  if (!('token' in reply)) return answer === undefined || answer.type === 'refused' ? { ...state, user } : undefined

  const { [held.sid]: current, ...others } = state.current
  const known = reply.outcome === 'retried' ? current : undefined
  if (answer === undefined) return { ...state, user, current: known === undefined ? others : state.current }
  if (answer.type !== 'tokens' || answer.token.gen !== reply.token.gen || answer.role !== reply.role) return undefined
  // A retry is answered with the same token, byte for byte, if anybody was told before what it is.
  if (known !== undefined && known !== answer.token.bytes) return undefined
  return { ...state, user, current: { ...others, [held.sid]: answer.token.bytes } }
}
