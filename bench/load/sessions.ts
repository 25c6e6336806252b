import { Connection } from './connection.ts'
import type { Target } from './protocol.ts'

export const saysTryAgain = (answer = ''): boolean => answer.startsWith('HTTP/1.1 500 ')

/** The clients of one service: every session's current token, and the connections they share. */
export class Sessions {
  readonly #target: Target
  readonly #tokens: string[]
  /** Sessions of which no request is in flight, the longest idle first: a ring. */
  readonly #idle: Int32Array
  #first = 0
  #count: number
  #connections: Connection[] = []
  /** All answers so far, those that were wrong, and those of the wrong that said "try again": a 500 is no judgement on the token. */
  total = 0
  wrong = 0
  unavailable = 0
  firstWrong: string | undefined

  constructor (target: Target, tokens: string[]) {
    this.#target = target
    this.#tokens = tokens
    this.#idle = Int32Array.from(tokens.keys())
    this.#count = tokens.length
  }

  /** So many connections, spread over the replicas; new ones, because servers close those that were idle between two runs. */
  async connect (count: number): Promise<Connection[]> {
    const { urls, protocol } = this.#target
    for (const connection of this.#connections) connection.close()
    this.#connections = await Promise.all(Array.from({ length: count }, async (_, i) =>
      await Connection.open(urls[i % urls.length]!, protocol)))
    return this.#connections
  }

  /** Refreshes the session that has been idle longest; `done` is called with whether the answer was right. */
  refresh (connection: Connection, done: (right: boolean) => void): void {
    if (this.#count === 0) throw new Error('more requests at once than sessions')
    const session = this.#idle[this.#first]!
    this.#first = (this.#first + 1) % this.#idle.length
    this.#count--
    connection.refresh(this.#tokens[session]!, (next, wrong) => {
      this.total++
      if (next !== undefined) {
        this.#tokens[session] = next
      } else {
        this.wrong++
        if (saysTryAgain(wrong)) this.unavailable++
        this.firstWrong ??= wrong
      }
      this.#idle[(this.#first + this.#count) % this.#idle.length] = session
      this.#count++
      done(next !== undefined)
    })
  }
}
