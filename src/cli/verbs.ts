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

interface Verb {
  /** `<needed> [optional]` */
  parameters: string
  summary: string
  load: () => Promise<Run>
}

export type VerbName = 'sessions' | 'revoke' | 'stats' | 'doctor' | 'help' | 'version'

/** Each is loaded when it is called for: help needs no Redis client. */
export const verbs: Record<VerbName, Verb> = {
  sessions: {
    parameters: '<userId>',
    summary: 'List the live sessions of a user',
    load: async () => (await import('./sessions.ts')).sessions
  },
  revoke: {
    parameters: '<userId> [sid]',
    summary: 'End one session of a user, or all: a log-out. Asks nothing',
    load: async () => (await import('./revoke.ts')).revoke
  },
  stats: {
    parameters: '',
    summary: 'Count sessions, users and their memory. Ctrl-C shows what is counted so far',
    load: async () => (await import('#src/cli/stats/stats')).stats
  },
  doctor: {
    parameters: '',
    summary: 'Check the configuration and Redis, and say what to change',
    load: async () => (await import('#src/cli/doctor/doctor')).doctor
  },
  help: {
    parameters: '',
    summary: 'Show this',
    load: async () => (await import('./help.ts')).help
  },
  version: {
    parameters: '',
    summary: 'Show the version',
    load: async () => (await import('./help.ts')).version
  }
}
