import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { expiryOf } from '#src/redis/records'
import { parseUserId } from '#src/tokens/user-id'

/** Measurements of one user's record. */
export interface RecordFacts {
  /** As MEMORY USAGE counts them: key, value and their entries in the server's tables. */
  bytes: number
  /** How Redis stores the hash: a listpack is small, a hashtable is not. */
  encoding: string
  live: number
  /** Sessions that have expired and are not yet pruned. */
  expired: number
}

/** Keys that one SCAN visits. It blocks Redis for a third of a millisecond. */
export const BATCH = 250

/** Minimum pause between two batches, milliseconds. */
const MIN_PAUSE = 2

/** More fields than any record has (1000 sessions with labels, and the profile), so that one HSCAN reads the whole record. */
const ALL_FIELDS = 10_000

/**
 * Walks the user records of one server without slowing it down: SCAN in batches, three reads a record in one pipeline,
 * then a pause as long as the batch took, so that a busy server gets fewer commands. Yields one array a batch. Ends early,
 * without an error, when the signal is aborted. SCAN returns every record that exists throughout the scan at least once:
 * a record may come twice while the server resizes its tables.
 */
export async function * scanRecords (redis: Redis, prefix: string, signal: AbortSignal): AsyncGenerator<RecordFacts[]> {
  let cursor = '0'
  do {
    const start = performance.now()
    const [next, keys] = await redis.scan(cursor, 'MATCH', `${prefix}*`, 'COUNT', BATCH)
    yield await readRecords(redis, keys.filter(key => parseUserId(key.slice(prefix.length)) !== undefined))
    cursor = next
    await delay(Math.max(MIN_PAUSE, performance.now() - start), undefined, { signal }).catch(() => {})
  } while (cursor !== '0' && !signal.aborted)
}

async function readRecords (redis: Redis, keys: string[]): Promise<RecordFacts[]> {
  const pipeline = redis.pipeline().time()
  for (const key of keys) pipeline.memory('USAGE', key).object('ENCODING', key).hscan(key, 0, 'MATCH', 's:*', 'COUNT', ALL_FIELDS)
  const [time, ...answers] = (await pipeline.exec())!.map(valueOf)
  const now = Number((time as [string, string])[0])
  return keys.flatMap((_, i) => {
    const [bytes, encoding, sessions] = answers.slice(3 * i, 3 * i + 3) as Partial<[number, string, [string, string[]]]>
    // The key has expired since SCAN, is moving to another server of the Cluster, or is no hash of ours.
    if (!bytes || !encoding || !sessions) return []
    // A record may outlive its last session by ten minutes.
    if (sessions[1].length === 0) return []
    const ends = sessions[1].filter((_, i) => i % 2 === 1).map(value => expiryOf(value) ?? 0)
    const live = ends.filter(end => end > now).length
    return [{ bytes, encoding, live, expired: ends.length - live }]
  })
}

function valueOf ([err, value]: [Error | null, unknown]): unknown {
  if (err === null) return value
  if (/^(MOVED|ASK|TRYAGAIN|WRONGTYPE)/.test(err.message)) return null
  throw err
}
