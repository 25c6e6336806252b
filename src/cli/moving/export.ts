import type { Writable } from 'node:stream'
import type { Redis } from 'ioredis'
import { count, createProgress, grouped } from '#src/cli/output'
import { withRedis } from '#src/cli/redis'
import type { Run } from '#src/cli/verb'
import { loadStoreConfig } from '#src/config/environment'
import { StoreUnavailable } from '#src/errors'
import { importedKey, importedSessionId } from '#src/redis/records'
import { mastersOf } from '#src/redis/topology'
import { parseUserId } from '#src/tokens/user-id'
import { toLines } from './record.ts'

/** Keys that one SCAN visits, as for `stats`. */
const BATCH = 250

/** Writes every live session to the output, one server after another, in constant memory. */
export const exportSessions: Run = async ({ holdInterruption, terminal, output }) => {
  const config = loadStoreConfig()
  const totals: Totals = { sessions: 0, legacyTokens: 0, unreadable: 0 }
  const progress = createProgress(terminal)
  const reader = watchReader(output)
  try {
    return await withRedis(config, async redis => {
      const signal = holdInterruption()
      const { reached: masters, away } = mastersOf(redis)
      if (away.length > 0) throw new StoreUnavailable(`${away.join(', ')} can't be reached, so sessions would be missing`)
      const total = (await Promise.all(masters.map(async master => await master.dbsize()))).reduce((sum, size) => sum + size, 0)
      let seen = 0
      for (const master of masters) {
        let cursor = '0'
        do {
          const [next, keys] = await master.scan(cursor, 'MATCH', `${config.REDIS_PREFIX}*`, 'COUNT', BATCH)
          const lines = await readKeys(master, config.REDIS_PREFIX, keys, totals)
          if (!output.write(lines.map(line => `${JSON.stringify(line)}\n`).join(''))) await reader.ready()
          progress.show(Math.min(1, (seen += BATCH) / total), `${grouped(totals.sessions)} sessions`)
          cursor = next
        } while (cursor !== '0' && !signal.aborted && !reader.isGone)
      }
      const document = { complete: !signal.aborted && !reader.isGone, ...totals }
      return { document, text: () => text(document), isAside: true, failed: totals.unreadable > 0 }
    })
  } finally {
    progress.end()
  }
}

interface Totals { sessions: number, legacyTokens: number, unreadable: number }

/** `isGone` when the reader has enough (`| head`). `ready` resolves when it takes more, or is gone. */
function watchReader (output: Writable): { isGone: boolean, ready: () => Promise<void> } {
  let wake = (): void => {}
  const reader = {
    isGone: false,
    ready: async () => {
      if (!reader.isGone && output.writableNeedDrain) await new Promise<void>(resolve => { wake = resolve })
    }
  }
  const end = (): void => {
    reader.isGone = true
    wake()
  }
  output.on('drain', () => wake()).once('error', end).once('close', end)
  return reader
}

/** The lines of the keys that are records and markers of legacy tokens. */
async function readKeys (redis: Redis, prefix: string, keys: string[], totals: Totals): Promise<object[]> {
  const markers = importedKey(prefix, '')
  const users = keys.filter(key => parseUserId(key.slice(prefix.length)) !== undefined)
  const legacy = keys.filter(key => key.startsWith(markers) && key.length === markers.length + 43)
  const pipeline = redis.pipeline().time()
  for (const key of users) pipeline.hgetall(key)
  for (const key of legacy) pipeline.hget(key, 'id').expiretime(key)
  const [time, ...replies] = (await pipeline.exec())!.map(valueOf)
  const now = Number((time as [string, string])[0])

  const lines: object[] = []
  for (const key of users) {
    const { sessions, unreadable } = toLines(parseUserId(key.slice(prefix.length))!, replies.shift() as Record<string, string> | null, now)
    lines.push(...sessions)
    totals.sessions += sessions.length
    totals.unreadable += unreadable
  }
  for (const key of legacy) {
    const [id, expiresAt] = replies.splice(0, 2) as [string | null, number]
    if (!id) continue
    const legacyTokenHash = key.slice(markers.length)
    lines.push({ userId: JSON.parse(id), legacyTokenHash, expiresAt, sid: importedSessionId(legacyTokenHash) })
    totals.legacyTokens++
  }
  return lines
}

/** Returns `null` for a key that moves to another server of the Cluster, or that is not ours. */
function valueOf ([err, value]: [Error | null, unknown]): unknown {
  if (err === null) return value
  if (/^(MOVED|ASK|TRYAGAIN|WRONGTYPE)/.test(err.message)) return null
  throw err
}

function text ({ complete, sessions, legacyTokens, unreadable }: Totals & { complete: boolean }): string {
  return `${complete ? '' : 'Interrupted. '}Exported ${count(sessions, 'session')} and ${count(legacyTokens, 'legacy token')}` +
    `${unreadable > 0 ? `; ${count(unreadable, 'session')} can't be read` : ''}.\n`
}
