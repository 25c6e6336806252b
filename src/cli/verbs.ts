import type { Verb } from './verb.ts'

export type VerbName = 'sessions' | 'revoke' | 'stats' | 'doctor' | 'help' | 'version'

/** Verbs load on demand, because help needs no Redis client. */
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
    load: async () => (await import('./help.ts')).helpOn(verbs)
  },
  version: {
    parameters: '',
    summary: 'Show the version',
    load: async () => (await import('./help.ts')).version
  }
}
