import type { Config } from '#src/config/environment'
import { createLineCheck, type ImportLine } from '#src/schemas/import'
import type { Importer } from '#src/sessions/imports'
import type { NotImported } from '#src/sessions/replies'
import { isUserId } from '#src/tokens/user-id'
import { MAX_LINE, type Line } from './lines.ts'
import type { Rejection } from './rejections.ts'
import { toTask, type Task } from './sessions.ts'

export interface Totals {
  lines: number
  /** Lines whose session, or whose legacy token in an export, is new here. */
  imported: number
  /** By an earlier run, or by an earlier line. */
  alreadyImported: number
  /** Sessions that have ended by themselves: no mistake. */
  expired: number
}

const reasons: Record<Exclude<NotImported, 'expired'>, string> = {
  too_old: 'createdAt is longer ago than REFRESH_ABSOLUTE_TTL: without it, the lifetime begins with the import',
  ahead: 'createdAt is in the future',
  logged_out: 'the user has logged out everywhere since createdAt',
  full: 'the user has MAX_SESSIONS_PER_USER sessions',
  damaged: 'the record of the user is damaged'
}

const OTHER_USER = 'the legacy token or the session was imported for another user'

/** Returns a function that imports lines, adds to `totals`, and returns the rejected lines. A dry run writes nothing. */
export function createBatch (config: Config, importer: Importer, totals: Totals, dryRun: boolean): (lines: Line[]) => Promise<Rejection[]> {
  const check = createLineCheck(config)

  /** Returns the reason if the task is rejected. */
  async function run ({ name, userId, expiresAt, session }: Task): Promise<string | undefined> {
    const owner = await importer.find(name)
    if (owner !== undefined) {
      if (owner !== userId) return OTHER_USER
      totals.alreadyImported++
      return undefined
    }
    if (dryRun || session === undefined) {
      // This machine's clock: no script decides.
      if (expiresAt !== undefined && expiresAt <= Date.now() / 1000) {
        totals.expired++
        return undefined
      }
      if (dryRun) {
        totals.imported++
        return undefined
      }
    }
    // Session before marker: a second run skips a session that has a marker.
    const written = session === undefined ? { result: 'kept' as const, expiresAt: expiresAt! } : await importer.write(session)
    if (written.result === 'expired') {
      totals.expired++
      return undefined
    }
    if (!('expiresAt' in written)) return reasons[written.result]
    if (await importer.mark(name, userId, written.expiresAt) !== userId) return OTHER_USER
    // A session that exists without its marker: the earlier run stopped between the two steps.
    if (session !== undefined && written.result === 'kept') totals.alreadyImported++
    else totals.imported++
    return undefined
  }

  return async lines => {
    const rejections: Rejection[] = []
    /** Lines about one session run one after another, all others at once. */
    const tasks = new Map<string, Array<[line: number, task: Task]>>()
    for (const { number, text } of lines) {
      if (text === '') continue
      totals.lines++
      const { line, reason } = read(text)
      if (reason === undefined) {
        const task = toTask(line as ImportLine)
        tasks.set(task.name, [...tasks.get(task.name) ?? [], [number, task]])
      } else {
        rejections.push(rejection(number, (line as ImportLine | undefined)?.userId, reason))
      }
    }
    await Promise.all([...tasks.values()].map(async group => {
      for (const [number, task] of group) {
        const reason = await run(task)
        if (reason !== undefined) rejections.push(rejection(number, task.userId, reason))
      }
    }))
    return rejections.sort((a, b) => a.line - b.line)
  }

  /** Parses a line; `reason` if it is wrong. The error of JSON.parse is not used, because it quotes the line. */
  function read (text: string | undefined): { line?: unknown, reason?: string | undefined } {
    if (text === undefined) return { reason: `it is longer than ${MAX_LINE} bytes, or no UTF-8` }
    try {
      const line: unknown = JSON.parse(text)
      return { line, reason: check(line) }
    } catch {
      return { reason: 'it is no JSON' }
    }
  }
}

function rejection (line: number, userId: unknown, reason: string): Rejection {
  return { line, ...isUserId(userId) && { userId }, reason }
}
