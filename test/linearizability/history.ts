import { pick, type Random } from '../random.ts'
import type { Operation } from './checker.ts'
import type { Answer, Call, Held } from './sessions.ts'

/** Records what several callers ask about one user at the same time, and what they are told. */

export type History = Array<Operation<Call, Answer>>

/**
 * Carries out a call. `undefined` when it is unknown whether it took effect; then `lateBy` says for how many
 * milliseconds after that it still may.
 */
export type Perform = (call: Call) => Promise<{ answer: Answer | undefined, lateBy?: number }>

const CALLERS = 3
const CALLS_EACH = 3

/** Opens a session, and lets callers do at the same time what comes to their minds. */
export async function record (perform: Perform, random: Random): Promise<History> {
  const history: History = []
  const held: Held[] = []
  const ask = async (call: Call): Promise<void> => { await recordCall(history, perform, call, held) }

  await ask({ type: 'open', device: 'phone', label: 'op0' })
  await Promise.all(Array.from({ length: CALLERS }, async () => {
    for (let i = 0; i < CALLS_EACH; i++) await ask(choose(random, held, history.length))
  }))
  return history
}

/** Adds one call with its answer to a history; a token that was told is the callers' to use. */
export async function recordCall (history: History, perform: Perform, call: Call, held: Held[] = []): Promise<void> {
  const operation: History[number] = { call, calledAt: performance.now(), answeredAt: Infinity, answer: undefined }
  history.push(operation)
  const { answer, lateBy = 0 } = await perform(call)
  operation.answeredAt = performance.now() + lateBy
  operation.answer = answer
  if (answer?.type === 'tokens') held.push(answer.token)
}

/** Mostly the newest token, sometimes an older one; log-ins and log-outs in between. */
function choose (random: Random, held: Held[], count: number): Call {
  const dice = random()
  const token = held.at(-1)
  if (token === undefined || dice < 0.12) return { type: 'open', device: pick(random, ['phone', 'laptop']), label: `op${count}` }
  if (dice < 0.65) return { type: 'refresh', token }
  if (dice < 0.80) return { type: 'refresh', token: pick(random, held) }
  if (dice < 0.88) return { type: 'revoke', sid: pick(random, held).sid }
  if (dice < 0.91) return { type: 'revokeAll' }
  return { type: 'list' }
}

/** A history to be read, in the order of the calls. */
export function print (history: History): string {
  const start = history[0]!.calledAt
  return history.map(({ call, calledAt, answeredAt, answer }) => {
    const what = 'token' in call ? `refresh ${call.token.sid.slice(0, 4)} ${call.token.gen}` : JSON.stringify(call)
    const told = answer?.type === 'tokens' ? `${answer.token.sid.slice(0, 4)} ${answer.token.gen}` : JSON.stringify(answer)
    return `${Math.round(calledAt - start)}–${Math.round(answeredAt - start)} ms: ${what} → ${told}`
  }).join('\n')
}
