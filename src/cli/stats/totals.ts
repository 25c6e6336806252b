import { bytes, count, grouped } from '#src/cli/output'
import type { RecordFacts } from './scan.ts'

/** The JSON document of `stats`: public, see docs/cli.md. Memory is in bytes; an average is `null` when nothing was counted. */
export interface Stats {
  /** False after an interruption: all other fields then cover only the records counted so far. */
  complete: boolean
  users: number
  sessions: number
  expiredSessions: number
  memory: { bytes: number, perUser: number | null, perSession: number | null }
  encodings: Record<string, number>
  sessionsPerUser: { mean: number | null, max: number, distribution: Array<{ from: number, to: number | null, users: number }> }
}

/** Lower bounds of the ranges in the distribution. */
const RANGES = [0, 1, 2, 3, 4, 6, 11, 21, 51, 101]

export type Totals = ReturnType<typeof createTotals>

/** Totals over all records: their size does not grow with the records. `distribution`: the number of users in each of `RANGES`. */
export function createTotals () {
  const encodings: Record<string, number> = { listpack: 0, hashtable: 0 }
  return { users: 0, sessions: 0, expired: 0, bytes: 0, encodings, max: 0, distribution: RANGES.map(() => 0) }
}

export function addRecords (totals: Totals, records: RecordFacts[]): void {
  for (const { bytes, encoding, live, expired } of records) {
    totals.users++
    totals.sessions += live
    totals.expired += expired
    totals.bytes += bytes
    totals.encodings[encoding] = (totals.encodings[encoding] ?? 0) + 1
    totals.max = Math.max(totals.max, live)
    totals.distribution[RANGES.findLastIndex(from => from <= live)]!++
  }
}

export function toStats ({ users, sessions, expired, bytes, encodings, max, distribution }: Totals, complete: boolean): Stats {
  const ranges = RANGES.map((from, i) => ({ from, to: i + 1 < RANGES.length ? RANGES[i + 1]! - 1 : null, users: distribution[i]! }))
  return {
    complete,
    users,
    sessions,
    expiredSessions: expired,
    memory: { bytes, perUser: divide(bytes, users), perSession: divide(bytes, sessions) },
    encodings,
    sessionsPerUser: { mean: divide(sessions, users), max, distribution: ranges.filter(({ users }) => users > 0) }
  }
}

/** Rounds to two decimals, which is more precise than the estimate. */
function divide (a: number, b: number): number | null {
  return b === 0 ? null : Math.round(a / b * 100) / 100
}

export function statsText ({ complete, users, sessions, expiredSessions, memory, encodings, sessionsPerUser }: Stats): string {
  const each = (value: number | null, noun: string): string => value === null ? '' : `, ${bytes(value)} a ${noun}`
  const { mean, max, distribution } = sessionsPerUser
  const bars = distribution.map(({ from, to, users: some }) => {
    const range = to === null ? `${from}+` : from === to ? `${from}` : `${from}-${to}`
    return `  ${range.padStart(6)}  ${'#'.repeat(Math.ceil(some / users * 40)).padEnd(40)}  ${count(some, 'user')}`
  })
  return [
    ...(complete ? [] : ['Interrupted: this is what was counted so far.']),
    `Users      ${grouped(users)}`,
    `Sessions   ${grouped(sessions)}, and ${grouped(expiredSessions)} expired that the user's next call prunes`,
    `Memory     ${bytes(memory.bytes)}${each(memory.perUser, 'user')}${each(memory.perSession, 'session')}`,
    `Encodings  ${Object.entries(encodings).map(([name, users]) => `${name} ${grouped(users)}`).join(', ')}`,
    ...(encodings.hashtable! > 0 ? ['           A hashtable takes several times the memory: doctor says which limits a listpack needs'] : []),
    ...(users > 0 ? ['', `Sessions a user: ${mean} on average, ${max} at the most`, ...bars] : [])
  ].join('\n') + '\n'
}
