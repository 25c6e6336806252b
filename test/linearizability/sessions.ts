import * as model from '../model/model.ts'
import type { Rules, Token, User } from '../model/model.ts'
import type { Specification } from './checker.ts'

/**
 * The sequential specification of one user's sessions, as clients and other services see them: the model of test/model, with
 * its time standing still, because no session expires in a history and the window is never near its end.
 */

/** A token as its holder has it. */
export interface Held { bytes: string, sid: string, gen: number, device: string }

export type Call =
  | { type: 'open', device: string, label: string }
  | { type: 'refresh', token: Held }
  | { type: 'revoke', sid: string }
  | { type: 'revokeAll' }
  | { type: 'list' }

export type Answer =
  | { type: 'tokens', token: Held }
  | { type: 'refused' }
  | { type: 'done' }
  /** Labels, which name the calls that opened the sessions, with generations; sorted. */
  | { type: 'listed', sessions: string[] }

/** The record, and of each session the current token's bytes, as far as anybody was told. */
export interface State { user: User, current: Record<string, string> }

const KEYS = ['key']

/** `retryWindow` is 0, or so long that no history lasts longer. */
export function sessions (retryWindow: number): Specification<State, Call, Answer> {
  const rules: Rules = { idleTtl: 1000, absoluteTtl: 1000, retryWindow, maxSessionsPerUser: 50 }
  return {
    initial: { user: null, current: {} },
    key: state => JSON.stringify(state),
    step (state, call, answer) {
      switch (call.type) {
        case 'open': {
          if (answer !== undefined && answer.type !== 'tokens') return undefined
          // Nobody can speak of a session whose opener lost the answer, but the list shows it.
          const sid = answer?.token.sid ?? `lost ${call.label}`
          const { user } = model.open(state.user, rules, 0, { sid, device: call.device, label: call.label, email: 'e', role: 'r' })
          return { user, current: answer === undefined ? state.current : { ...state.current, [sid]: answer.token.bytes } }
        }
        case 'refresh': return refresh(state, rules, call.token, answer)
        case 'revoke': return { ...state, user: model.revoke(state.user, 0, call.sid).user }
        case 'revokeAll': return { ...state, user: null }
        case 'list': {
          const listed = model.list(state.user, 0).reply.map(({ label, gen }) => `${label} ${gen}`).sort()
          return answer?.type !== 'listed' || JSON.stringify(answer.sessions) === JSON.stringify(listed) ? state : undefined
        }
      }
    }
  }
}

function refresh (state: State, rules: Rules, held: Held, answer: Answer | undefined): State | undefined {
  const token: Token = { key: KEYS[0]!, sid: held.sid, gen: held.gen, iat: 0, exp: Infinity }
  const { user, reply } = model.refresh(state.user, rules, 0, KEYS, token, held.device)
  if (!('token' in reply)) return answer === undefined || answer.type === 'refused' ? { ...state, user } : undefined

  const { [held.sid]: current, ...others } = state.current
  const known = reply.outcome === 'retried' ? current : undefined
  if (answer === undefined) return { user, current: known === undefined ? others : state.current }
  if (answer.type !== 'tokens' || answer.token.gen !== reply.token.gen) return undefined
  // A retry is answered with the same token, byte for byte, if anybody was told before what it is.
  if (known !== undefined && known !== answer.token.bytes) return undefined
  return { user, current: { ...others, [held.sid]: answer.token.bytes } }
}
