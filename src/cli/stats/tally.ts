import { bytes, count, grouped } from '#src/cli/output'
import type { RecordFacts } from './scan.ts'

/** Totals over all records. Its size does not grow with their number. */
export interface Tally {
  users: number
  sessions: number
  expired: number
  bytes: number
  encodings: Record<string, number>
  /** Number of users by their number of live sessions. */
  distribution: Map<number, number>
}

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

export function createTally (): Tally {
  return { users: 0, sessions: 0, expired: 0, bytes: 0, encodings: { listpack: 0, hashtable: 0 }, distribution: new Map() }
}

export function addRecords (tally: Tally, records: RecordFacts[]): void {
  for (const { bytes, encoding, live, expired } of records) {
    tally.users++
    tally.sessions += live
    tally.expired += expired
    tally.bytes += bytes
    tally.encodings[encoding] = (tally.encodings[encoding] ?? 0) + 1
    tally.distribution.set(live, (tally.distribution.get(live) ?? 0) + 1)
  }
}

export function toStats (tally: Tally, complete: boolean): Stats {
  const { users, sessions, expired, bytes, encodings, distribution } = tally
  const ranges = RANGES.map((from, i) => {
    const to = RANGES[i + 1] === undefined ? null : RANGES[i + 1]! - 1
    const inRange = [...distribution].filter(([sessions]) => sessions >= from && sessions <= (to ?? Infinity))
    return { from, to, users: inRange.reduce((sum, [, users]) => sum + users, 0) }
  })
  return {
    complete,
    users,
    sessions,
    expiredSessions: expired,
    memory: { bytes, perUser: divide(bytes, users), perSession: divide(bytes, sessions) },
    encodings,
    sessionsPerUser: {
      mean: divide(sessions, users),
      max: Math.max(0, ...distribution.keys()),
      distribution: ranges.filter(({ users }) => users > 0)
    }
  }
}

/** Rounds to two decimals, which is more precise than the estimate. */
function divide (a: number, b: number): number | null {
  return b === 0 ? null : Math.round(a / b * 100) / 100
}

/** Formats the statistics as text. */
export function statsText ({ complete, users, sessions, expiredSessions, memory, encodings, sessionsPerUser }: Stats): string {
  const each = (value: number | null, noun: string): string => value === null ? '' : `, ${bytes(value)} a ${noun}`
  const lines = [
    ...(complete ? [] : ['Interrupted: this is what was counted so far.']),
    `Users      ${grouped(users)}`,
    `Sessions   ${grouped(sessions)}, and ${grouped(expiredSessions)} expired that the user's next call prunes`,
    `Memory     ${bytes(memory.bytes)}${each(memory.perUser, 'user')}${each(memory.perSession, 'session')}`,
    `Encodings  ${Object.entries(encodings).map(([name, users]) => `${name} ${grouped(users)}`).join(', ')}`
  ]
  if (encodings.hashtable! > 0) {
    lines.push('           A hashtable takes several times the memory: doctor says which limits a listpack needs')
  }
  if (users > 0) {
    lines.push('', `Sessions a user: ${sessionsPerUser.mean} on average, ${sessionsPerUser.max} at the most`)
    const bars = sessionsPerUser.distribution.map(({ from, to, users: some }) => ({
      range: to === null ? `${from}+` : from === to ? `${from}` : `${from}-${to}`,
      some,
      bar: '#'.repeat(Math.ceil(some / users * 40))
    }))
    lines.push(...bars.map(({ range, some, bar }) => `  ${range.padStart(6)}  ${bar.padEnd(40)}  ${count(some, 'user')}`))
  }
  return lines.join('\n') + '\n'
}
