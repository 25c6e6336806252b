import { version } from '#src/version'
import type { Result, Run } from './verb.ts'

interface Verb {
  /** `<needed> [optional]` */
  parameters: string
  /** Options of this verb alone. */
  options?: string
  summary: string
  /** Without a result, the verb runs on and writes to the output itself. */
  run: Run | (() => Promise<void>)
}

export type VerbName = 'start' | 'sessions' | 'revoke' | 'stats' | 'doctor' | 'import' | 'export' | 'help' | 'version'

/** Modules load on demand, because help needs no Redis client. */
export const verbs: Record<VerbName, Verb> = {
  start: {
    parameters: '',
    summary: 'Start the service. So does no verb at all',
    run: async () => { await import('#src/server') }
  },
  sessions: {
    parameters: '<userId>',
    summary: 'List the live sessions of a user',
    run: async request => await (await import('./sessions.ts')).sessions(request)
  },
  revoke: {
    parameters: '<userId> [sid]',
    summary: 'End one session of a user, or all: a log-out. Asks nothing',
    run: async request => await (await import('./sessions.ts')).revoke(request)
  },
  stats: {
    parameters: '',
    summary: 'Count sessions, users and their memory. Ctrl-C shows what is counted so far',
    run: async request => await (await import('./stats/stats.ts')).stats(request)
  },
  doctor: {
    parameters: '',
    summary: 'Check the configuration and Redis, and say what to change',
    run: async request => await (await import('./doctor/doctor.ts')).doctor(request)
  },
  import: {
    parameters: '<file>',
    options: '[--dry-run] [--rejected <file>]',
    summary: 'Import sessions of another service from NDJSON; - is standard input',
    run: async request => await (await import('./moving/import.ts')).importSessions(request)
  },
  export: {
    parameters: '',
    summary: 'Write all live sessions as NDJSON that import takes',
    run: async request => await (await import('./moving/export.ts')).exportSessions(request)
  },
  help: { parameters: '', summary: 'Show this', run: help },
  version: {
    parameters: '',
    summary: 'Show the version',
    run: async () => ({ document: { version }, text: () => `${version}\n` })
  }
}

async function help (): Promise<Result> {
  const list = Object.entries(verbs).map(([verb, { parameters, options = '', summary }]) =>
    ({ verb, usage: [verb, parameters, options].filter(part => part !== '').join(' '), summary }))
  const width = Math.max(...list.map(({ usage }) => usage.length))
  return {
    document: { verbs: list },
    text: () => `Usage: refresh-token-service [verb] [--json]

${list.map(({ usage, summary }) => `  ${usage.padEnd(width)}  ${summary}\n`).join('')}
  --json          One JSON document on standard output; errors as {"error":"…"} on standard error
  -h, --help      As help
  --version       As version

start reads its settings from the environment. Without REDIS_URL it starts a Redis server of its own under DATA_DIR.
The other verbs read the environment of the service. REDIS_URL and REDIS_PREFIX are enough for all but doctor, which checks
the rest too. Without REDIS_URL they use the embedded Redis of a running service under DATA_DIR.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. More in docs/cli.md.
`
  }
}
