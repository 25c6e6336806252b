import { styleText } from 'node:util'
import type { Screen } from '#src/cli/output'

const statusColors = { ok: 'green', unknown: 'blue', warn: 'yellow', fail: 'red' } as const

type Status = keyof typeof statusColors

/**
 * One line of doctor's output. `name` is stable, because scripts rely on it. `change` says how to fix the finding.
 * Status `unknown`: the Redis user lacks the permission to read the value, or Redis failed.
 */
export interface Check {
  name: string
  /** The server that the check is about, if any. */
  server?: string
  status: Status
  message: string
  change?: string
}

const finding = (status: Status) => (name: string, message: string, change: string): Check => ({ name, status, message, change })

export const ok = (name: string, message: string): Check => ({ name, status: 'ok', message })
export const unknown = finding('unknown')
export const warn = finding('warn')
export const fail = finding('fail')

/** Prints a line for each check, its fix below it, and the totals. */
export function checksText (checks: Check[], { colors }: Screen): string {
  const width = Math.max(...checks.map(({ name }) => name.length))
  const column = Math.max(...checks.map(({ status }) => status.length), 4)
  const colored = (status: Status): string =>
    colors ? styleText(statusColors[status], status.padEnd(column), { validateStream: false }) : status.padEnd(column)
  const lines = checks.map(({ name, server, status, message, change }) =>
    `${colored(status)}  ${name.padEnd(width)}  ${message}${server === undefined ? '' : ` (${server})`}\n` +
    (change === undefined ? '' : `${' '.repeat(column + width + 4)}→ ${change}\n`))
  const sum = (status: Status): number => checks.filter(check => check.status === status).length
  const unread = sum('unknown') === 0 ? '' : `${sum('unknown')} unknown, `
  return `${lines.join('')}\n${sum('ok')} ok, ${unread}${sum('warn')} to look at, ${sum('fail')} failed.\n`
}
