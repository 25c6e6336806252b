/**
 * Decides whether a concurrent history is linearizable (Herlihy and Wing, 1990): whether its operations can be put in an
 * order, each between its call and its answer, in which a sequential specification gives just these answers. The search is
 * Wing and Gong's with Lowe's memory of configurations that have failed ("Testing for linearizability", 2017).
 */

export interface Operation<Call, Answer> {
  call: Call
  /** Milliseconds by one clock. */
  calledAt: number
  /** When it was answered; for one whose answer is unknown, after when it can't take effect any more. */
  answeredAt: number
  /** `undefined` when nobody knows: it has taken effect in time, or never will. */
  answer: Answer | undefined
}

export interface Specification<State, Call, Answer> {
  initial: State
  /** The state after a call that was answered so, or in any way if `undefined`; `undefined` when that can't have been the answer. */
  step (state: State, call: Call, answer: Answer | undefined): State | undefined
  /** Equal for equal states. */
  key (state: State): string
}

/** Operations of a history at the most: each is a bit. */
const MAX_OPERATIONS = 31

/** An order that explains the history, as indices of its operations, without those that never took effect; else `undefined`. */
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
      // Not after one that was answered before this was called, nor before one that was called after this was over.
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
