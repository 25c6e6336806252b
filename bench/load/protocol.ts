/** How a contender is asked for a refresh. The request is all text but for the token. */
export interface Protocol {
  path: string
  contentType: string
  /** The body before and after the token. */
  before: string
  after: string
  /** The field of the JSON answer that holds the next token. */
  field: string
  /** Whether every answer must bring another token; the ceiling's is fixed. */
  rotates: boolean
}

/** A service under load; its replicas take turns by the connection. */
export interface Target {
  urls: string[]
  protocol: Protocol
}

/** What the generator is asked to do: one at a time, each answered by one message. */
export type Order =
  | { do: 'sessions', name: string, target: Target, tokens: string[] }
  | { do: 'closed', name: string, connections: number, warmup: number, seconds: number }
  | { do: 'count', name: string, connections: number, count: number }
  | { do: 'open', name: string, connections: number, warmup: number, seconds: number, rate: number }
  | { do: 'race', name: string, copies: number, tokens: string[] }

/** Of one run against one service. */
export interface LoadResult {
  /** Refreshes answered within the measured time, and what that makes a second. */
  answered: number
  perSecond: number
  /** All of the run, the warm-up and what was in flight at the end included. */
  total: number
  /** Answers that were not 200 with a new token, those of them that were 500, and the first as text. */
  wrong: number
  unavailable: number
  firstWrong?: string
  /** CPU of the generator, as a share of one core. */
  generatorCpu: number
}

export interface LatencyResult extends LoadResult {
  /** Milliseconds from the moment a request was due to its answer (so that waiting behind a slow one counts). */
  latencies: Float64Array
  /** Of them, what the generator itself was late by, 99th percentile. */
  ownDelay: number
}

/** Of one session whose one token was sent many times at once. */
export interface RaceResult {
  /** Different successors handed out, and how many of them work afterwards. */
  successors: number
  working: number
  refused: number
}
