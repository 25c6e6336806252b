import type { Screen, Terminal } from './output.ts'

/** What a verb is given. */
export interface Request {
  /** As many as its parameters allow, not yet checked otherwise. */
  args: string[]
  /** From its call on, the first Ctrl-C does not end the process but aborts the signal: there is something to show. */
  holdInterruption: () => AbortSignal
  /** Where progress is shown. */
  terminal: Terminal
}

/** What a verb has to say, for scripts and for people. The documents' shapes are public: docs/cli.md. */
export interface Result {
  document: object
  /** Whole lines. */
  text: (screen: Screen) => string
  failed?: boolean
}

/** What it throws is one sentence for whoever called it, free of secrets. */
export type Run = (request: Request) => Promise<Result>

export interface Verb {
  /** `<needed> [optional]` */
  parameters: string
  summary: string
  load: () => Promise<Run>
}
