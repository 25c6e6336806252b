import { readFileSync } from 'node:fs'
import type { Run, Verb } from './verb.ts'

/** The `--help` page. */
export const helpOn = (verbs: Record<string, Verb>): Run => async () => {
  const list = Object.entries(verbs).map(([verb, { parameters, summary }]) => ({ verb, usage: `${verb} ${parameters}`.trim(), summary }))
  const width = Math.max(...list.map(({ usage }) => usage.length))
  return {
    document: { verbs: list },
    text: () => `Usage: refresh-token-service <verb> [--json]

${list.map(({ usage, summary }) => `  ${usage.padEnd(width)}  ${summary}\n`).join('')}
  --json          One JSON document on standard output; errors as {"error":"…"} on standard error
  -h, --help      As help
  --version       As version

It reads the environment of the service. REDIS_URL and REDIS_PREFIX are enough for all but doctor, which checks
the rest too. Without REDIS_URL it is the embedded Redis of a running service under DATA_DIR.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted. More in docs/cli.md.
`
  }
}

/** The version of the package. */
export const version: Run = async () => {
  const version = readVersion(new URL('.', import.meta.url))
  return { document: { version }, text: () => `${version}\n` }
}

/** Finds the nearest package.json upwards: sources and compiled files lie at different depths. */
function readVersion (folder: URL): string {
  try {
    return JSON.parse(readFileSync(new URL('package.json', folder), 'utf8')).version
  } catch {
    return readVersion(new URL('..', folder))
  }
}
