/**
 * Decides whether a concurrent history is linearizable (Herlihy and Wing, 1990): whether its operations have an order, each
 * between its call and its answer, in which a sequential specification gives exactly these answers. The search is Wing and
 * Gong's, with Lowe's cache of failed configurations ("Testing for linearizability", 2017).
 */

export interface Operation<Call, Answer> {
  call: Call
  /** Milliseconds; all operations use the same clock. */
  calledAt: number
  /** Time of the answer; if the answer is unknown, the time after which the call can't take effect any more. */
  answeredAt: number
  /** `undefined` if unknown: the call took effect before `answeredAt`, or never will. */
  answer: Answer | undefined
}

export interface Specification<State, Call, Answer> {
  initial: State
  /** Returns the state after a call with this answer (any answer if `undefined`), or `undefined` if the answer is impossible. */
  step (state: State, call: Call, answer: Answer | undefined): State | undefined
  /** Returns equal strings for equal states. */
  key (state: State): string
}

/** Maximum number of operations in a history: each is one bit of a 32-bit integer. */
const MAX_OPERATIONS = 31

/** Returns an order that explains the history, as indices of the operations that took effect; `undefined` if there is none. */
export function linearize<State, Call, Answer> (
  history: Array<Operation<Call, Answer>>, { initial, step, key }: Specification<State, Call, Answer>
): number[] | undefined {
  if (history.length > MAX_OPERATIONS) throw new RangeError(`a history has ${MAX_OPERATIONS} operations at the most`)
  const failed = new Set<string>()
  const order: number[] = []
  const isKnown = ({ answer }: Operation<Call, Answer>): boolean => answer !== undefined

  const search = (state: State, done: number): boolean => {
    const left = history.flatMap((_, i) => (done & 1 << i) === 0 ? [i] : [])
    const earliestAnswer = Math.min(...left.map(i => isKnown(history[i]!) ? history[i]!.answeredAt : Infinity))
    if (earliestAnswer === Infinity) return true

    const configuration = `${done} ${key(state)}`
    if (failed.has(configuration)) return false
    const latestCall = Math.max(...order.map(i => history[i]!.calledAt))
    for (const i of left) {
      const { call, calledAt, answeredAt, answer } = history[i]!
      // Skip if another remaining operation was answered before this call, or one already in the order was called after this answer.
      if (calledAt > earliestAnswer || answeredAt < latestCall) continue
      const next = step(state, call, answer)
      if (next === undefined) continue
      order.push(i)
      if (search(next, done | 1 << i)) return true
      order.pop()
    }
    failed.add(configuration)
    return false
  }
  return search(initial, 0) ? order : undefined
}
