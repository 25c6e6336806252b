import { colored, type Screen } from '#src/cli/output'

/**
 * One line of doctor's output. `name` is stable, because scripts rely on it. `change` says how to fix the finding.
 * Status `unknown`: the Redis user lacks the permission to read the value, or Redis failed.
 */
export interface Check {
  name: string
  /** The server that the check is about, if any. */
  server?: string
  status: 'ok' | 'unknown' | 'warn' | 'fail'
  message: string
  change?: string
}

export function ok (name: string, message: string): Check {
  return { name, status: 'ok', message }
}

export function unknown (name: string, message: string, change: string): Check {
  return { name, status: 'unknown', message, change }
}

export function warn (name: string, message: string, change: string): Check {
  return { name, status: 'warn', message, change }
}

export function fail (name: string, message: string, change: string): Check {
  return { name, status: 'fail', message, change }
}

const statusColors = { ok: 'green', unknown: 'blue', warn: 'yellow', fail: 'red' } as const

/** Prints a line for each check, its fix below it, and the totals. */
export function checksText (checks: Check[], screen: Screen): string {
  const width = Math.max(...checks.map(({ name }) => name.length))
  const column = Math.max(...checks.map(({ status }) => status.length), 4)
  const lines = checks.map(({ name, server, status, message, change }) =>
    `${colored(status.padEnd(column), statusColors[status], screen)}  ${name.padEnd(width)}  ${message}${server === undefined ? '' : ` (${server})`}\n` +
    (change === undefined ? '' : `${' '.repeat(column + width + 4)}→ ${change}\n`))
  const sum = (status: Check['status']): number => checks.filter(check => check.status === status).length
  const unread = sum('unknown') === 0 ? '' : `${sum('unknown')} unknown, `
  return `${lines.join('')}\n${sum('ok')} ok, ${unread}${sum('warn')} to look at, ${sum('fail')} failed.\n`
}
