/** A contender's refresh request. All of it is fixed text except the token. */
export interface Protocol {
  path: string
  contentType: string
  headers?: Record<string, string>
  /** If it is given, each request has a DPoP proof for this address. */
  provenUrl?: string
  /** The body before and after the token. */
  before: string
  after: string
  /** The field of the JSON answer that holds the next token. */
  field: string
  /** Whether every answer must hold a new token; the ceiling's token is fixed. */
  rotates: boolean
}

/** A service under load; connections are spread over its replicas in turn. */
export interface Target {
  urls: string[]
  protocol: Protocol
}

/** A command for the generator: one at a time, each answered by one message. */
export type Command =
  | { do: 'sessions', name: string, target: Target, tokens: string[] }
  | { do: 'closed', name: string, connections: number, warmup: number, seconds: number }
  | { do: 'count', name: string, connections: number, count: number }
  | { do: 'open', name: string, connections: number, warmup: number, seconds: number, rate: number }
  | { do: 'race', name: string, copies: number, tokens: string[] }

/** Result of one run against one service. */
export interface LoadResult {
  /** Refreshes answered within the measured time, and the rate a second. */
  answered: number
  perSecond: number
  /** All answers of the run, including the warm-up and the requests in flight at the end. */
  total: number
  /** Answers other than a 200 with a new token, the 500s among them, and the first wrong answer as text. */
  wrong: number
  unavailable: number
  firstWrong?: string
  /** CPU of the generator, as a share of one core. */
  generatorCpu: number
}

export interface LatencyResult extends LoadResult {
  /** Milliseconds from the moment a request was due to its answer, including the wait behind a slow one. */
  latencies: Float64Array
  /** Milliseconds by which the generator itself was late, 99th percentile. */
  ownDelay: number
}

/** Result for one session whose token was sent many times at once. */
export interface RaceResult {
  /** Number of different successors issued, and how many of them work afterwards. */
  successors: number
  working: number
  refused: number
}
