import * as model from '../model/model.ts'
import type { Rules, Token, User } from '../model/model.ts'
import type { Specification } from './checker.ts'

/**
 * The sequential specification of one user's sessions, as clients and other services see them: the model of test/proofs/model. The
 * model's seconds stand still, because no session expires and no retry window ends within a history. Its milliseconds number the
 * log-ins, log-outs everywhere and profile changes in the order in which they take effect, regardless of the clocks.
 */

/** A token that a caller received. */
export interface Held { bytes: string, sid: string, gen: number, device: string }

/** A log-in under way. `authenticatedAt` is its beginning in seconds, by the login service's clock. */
export interface Login { name: string, authenticatedAt: number }

/** `key` is an Idempotency-Key. */
export type Call =
  | { type: 'authenticate', name: string }
  | { type: 'open', device: string, label: string, login?: Login | undefined }
  | { type: 'refresh', token: Held, key?: string | undefined }
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
  /** The label and generation of each session, sorted. The label names the call that opened the session. */
  | { type: 'listed', sessions: string[] }

/** The record, the bytes of each session's current token if any caller got them, and when each log-in began. */
export interface State { ms: number, user: User, current: Record<string, string>, logins: Record<string, number> }

/** The profile sent with every log-in. */
export const PROFILE = { email: 'guest@keygenqt.com', role: 'GUEST' }

const KEYS = ['key']

/** `retryWindow` is 0, or longer than any history. */
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
        case 'refresh': return refresh(before, rules, call, answer)
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
  // No caller knows the sid of a session whose opening went unanswered, but the list shows the session.
  const sid = answer?.type === 'tokens' ? answer.token.sid : `lost ${label}`
  const authenticatedAt = login && state.logins[login.name]! / 1000
  const { user, reply } = model.open(state.user, rules, state.ms, { sid, device, label, ...PROFILE, authenticatedAt })
  if (reply.outcome !== 'opened') return answer === undefined || answer.type === 'refused' ? state : undefined
  if (answer === undefined) return { ...state, user }
  if (answer.type !== 'tokens' || answer.role !== reply.role) return undefined
  return { ...state, user, current: { ...state.current, [sid]: answer.token.bytes } }
}

function refresh (
  state: State, rules: Rules, { token: held, key }: Call & { type: 'refresh' }, answer: Answer | undefined
): State | undefined {
  const token: Token = { key: KEYS[0]!, sid: held.sid, gen: held.gen, iat: 0, exp: Infinity }
  const { user, reply } = model.refresh(state.user, rules, 0, KEYS, token, held.device, { key })
  if (!('token' in reply)) return answer === undefined || answer.type === 'refused' ? { ...state, user } : undefined

  const { [held.sid]: current, ...others } = state.current
  const known = reply.outcome === 'retried' ? current : undefined
  if (answer === undefined) return { ...state, user, current: known === undefined ? others : state.current }
  if (answer.type !== 'tokens' || answer.token.gen !== reply.token.gen || answer.role !== reply.role) return undefined
  // A retry gets the same token, byte for byte, as any earlier answer.
  if (known !== undefined && known !== answer.token.bytes) return undefined
  return { ...state, user, current: { ...others, [held.sid]: answer.token.bytes } }
}
