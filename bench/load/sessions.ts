import { Connection } from './connection.ts'
import type { Target } from './protocol.ts'

export const saysTryAgain = (answer = ''): boolean => answer.startsWith('HTTP/1.1 500 ')

/** The clients of one service: the current token of every session, and the shared connections. */
export class Sessions {
  readonly #target: Target
  readonly #tokens: string[]
  /** Ring buffer of the sessions without a request in flight, the longest idle first. */
  readonly #idle: Int32Array
  #first = 0
  #count: number
  #connections: Connection[] = []
  /** Number of answers: all, wrong, and wrong with status 500, which says nothing about the token. */
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

  /** Opens `count` connections, spread over the replicas. New for each run, because servers close idle connections between runs. */
  async connect (count: number): Promise<Connection[]> {
    const { urls, protocol } = this.#target
    for (const connection of this.#connections) connection.close()
    this.#connections = await Promise.all(Array.from({ length: count }, async (_, i) =>
      await Connection.open(urls[i % urls.length]!, protocol)))
    return this.#connections
  }

  /** Refreshes the session that has been idle longest; calls `done` with whether the answer was right. */
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
