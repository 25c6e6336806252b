import { setImmediate, setTimeout as delay } from 'node:timers/promises'
import { pick, type Random } from '../../support/random.ts'
import type { Operation } from './checker.ts'
import type { Answer, Call, Held, Login } from './sessions.ts'

/** Records the calls of several concurrent callers about one user, and their answers. */

export type History = Array<Operation<Call, Answer>>

/**
 * Performs a call. `answer` is `undefined` if it is unknown whether the call took effect; the call may still take effect within
 * `lateBy` milliseconds.
 */
export type Perform = (call: Call) => Promise<{ answer: Answer | undefined, lateBy?: number }>

/** The tokens and log-ins that callers received, shared by all of them. */
export interface Known {
  held: Held[]
  /** Log-ins under way. */
  logins: Login[]
}

export const nothing = (): Known => ({ held: [], logins: [] })

const CALLERS = 3
const CALLS_EACH = 3

/** Opens a session, then lets callers make random calls at the same time. */
export async function record (perform: Perform, random: Random): Promise<History> {
  const history: History = []
  const known = nothing()
  const ask = async (call: Call): Promise<void> => { await recordCall(history, perform, call, known) }

  await ask({ type: 'open', device: 'phone', label: 'op0' })
  await Promise.all(Array.from({ length: CALLERS }, async () => {
    for (let i = 0; i < CALLS_EACH; i++) await ask(choose(random, known, history.length))
  }))
  return history
}

/** Performs one call and adds it with its answer to a history; received tokens and log-ins are added to `known`. */
export async function recordCall (history: History, perform: Perform, call: Call, { held, logins } = nothing()): Promise<void> {
  const operation: History[number] = { call, calledAt: performance.now(), answeredAt: Infinity, answer: undefined }
  history.push(operation)
  const { answer, lateBy = 0 } = await perform(call)
  operation.answeredAt = performance.now() + lateBy
  operation.answer = answer
  if (answer?.type === 'tokens') held.push(answer.token)
  if (answer?.type === 'authenticated') logins.push(answer.login)
}

/**
 * Begins a log-in. Resolves only when the next millisecond has begun, so that every later call has a later time on this
 * machine's clock.
 */
export async function authenticate (name: string): Promise<{ answer: Answer }> {
  const ms = Date.now()
  while (Date.now() === ms) await setImmediate()
  return { answer: { type: 'authenticated', login: { name, authenticatedAt: ms / 1000 } } }
}

/** Chooses a random call: mostly a refresh with the newest token, sometimes with an older one, or any other call. */
function choose (random: Random, { held, logins }: Known, count: number): Call {
  const dice = random()
  const token = held.at(-1)
  const device = pick(random, ['phone', 'laptop'])
  const key = pick(random, [undefined, 'one', 'two'])
  if (dice < 0.1) return { type: 'authenticate', name: `op${count}` }
  if (dice < 0.25 || token === undefined) return { type: 'open', device, label: `op${count}`, login: pick(random, [undefined, ...logins, ...logins]) }
  if (dice < 0.6) return { type: 'refresh', token, key }
  if (dice < 0.72) return { type: 'refresh', token: pick(random, held), key }
  if (dice < 0.78) return { type: 'revoke', sid: pick(random, held).sid }
  if (dice < 0.86) return { type: 'revokeAll' }
  if (dice < 0.92) return { type: 'updateProfile', role: 'DEMOTED' }
  return { type: 'list' }
}

/** Begins log-ins; while these and other log-ins open their sessions, the user logs out everywhere once and is demoted once. */
export async function recordLogins (perform: Perform, random: Random): Promise<History> {
  const history: History = []
  const known = nothing()
  const ask = async (call: Call): Promise<void> => { await recordCall(history, perform, call, known) }
  const login = async (device: string, begin: boolean): Promise<void> => {
    if (begin) await ask({ type: 'authenticate', name: `op${history.length}` })
    const label = `op${history.length}`
    await ask({ type: 'open', device, label, login: begin ? known.logins.at(-1) : pick(random, known.logins) })
  }
  for (const name of ['first', 'second']) await ask({ type: 'authenticate', name })
  const callers = [
    async () => { await login('phone', false); await login('phone', true) },
    async () => { await login('laptop', false); await login('tablet', random() < 0.5) },
    async () => { await ask({ type: 'revokeAll' }); await login('watch', random() < 0.5) },
    async () => { await ask({ type: 'updateProfile', role: 'DEMOTED' }); await ask({ type: 'list' }) }
  ]
  await Promise.all(callers.map(async caller => {
    await delay(4 * random())
    await caller()
  }))
  return history
}

/** Formats a history for reading, in the order of the calls. */
export function print (history: History): string {
  const start = history[0]!.calledAt
  return history.map(({ call, calledAt, answeredAt, answer }) => {
    const what = 'token' in call ? `refresh ${call.token.sid.slice(0, 4)} ${call.token.gen} ${call.key ?? ''}` : JSON.stringify(call)
    const told = answer?.type === 'tokens' ? `${answer.token.sid.slice(0, 4)} ${answer.token.gen}` : JSON.stringify(answer)
    return `${Math.round(calledAt - start)}–${Math.round(answeredAt - start)} ms: ${what} → ${told}`
  }).join('\n')
}
