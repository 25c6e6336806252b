import type { Screen, Terminal } from './output.ts'

/** The input of a verb. */
export interface Request {
  /** Only the number of arguments has been checked. */
  args: string[]
  /** After this call, the first Ctrl-C aborts the signal instead of ending the process, so the verb can show a partial result. */
  holdInterruption: () => AbortSignal
  /** The terminal that shows progress. */
  terminal: Terminal
}

/** The output of a verb, for scripts and for people. The shapes of the documents are public: docs/cli.md. */
export interface Result {
  document: object
  /** Whole lines. */
  text: (screen: Screen) => string
  failed?: boolean
}

/** Runs a verb. The message of a thrown error is one sentence for the user, without secrets. */
export type Run = (request: Request) => Promise<Result>

export interface Verb {
  /** `<needed> [optional]` */
  parameters: string
  summary: string
  load: () => Promise<Run>
}
