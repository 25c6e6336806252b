import type { RefreshOutcome } from '#src/metrics/definitions'
import type { Metrics } from '#src/metrics/metrics'

/** Minutes that the console shows. */
const MINUTES = 60

/** The counters of this process at one moment. */
interface Snapshot {
  /** Unix milliseconds. */
  at: number
  refreshes: Record<RefreshOutcome, number>
  /** Calls of Redis by bucket of their duration. */
  calls: number[]
}

/** What happened in a minute; the last one is not over. */
export type Minute = Snapshot

export interface History {
  /** The last hour, or the time since the start if shorter. Oldest first. */
  minutes (): Minute[]
  /** Upper bounds of the buckets of `calls`, seconds. */
  readonly buckets: readonly number[]
  /** Begins a new minute. */
  tick (): void
}

/** Keeps the last hour of a process's metrics, a snapshot a minute; `tick` must be called once a minute. */
export function createHistory ({ refreshes, scripts }: Pick<Metrics, 'refreshes' | 'scripts'>, now = Date.now): History {
  function snapshot (): Snapshot {
    const countIn = (bucket: number): number => scripts.series.reduce((sum, { counts }) => sum + counts[bucket]!, 0)
    const calls = Array.from({ length: scripts.buckets.length + 1 }, (_, bucket) => countIn(bucket))
    return { at: now(), refreshes: { ...refreshes }, calls }
  }

  const snapshots = [snapshot()]
  return {
    buckets: scripts.buckets,
    minutes () {
      const all = [...snapshots, snapshot()]
      return all.slice(1).map((end, i) => difference(all[i]!, end))
    },
    tick () {
      snapshots.push(snapshot())
      if (snapshots.length > MINUTES) snapshots.shift()
    }
  }
}

function difference (start: Snapshot, end: Snapshot): Minute {
  const outcomes = Object.entries(end.refreshes) as Array<[RefreshOutcome, number]>
  return {
    at: start.at,
    refreshes: Object.fromEntries(outcomes.map(([outcome, count]) => [outcome, count - start.refreshes[outcome]])) as Minute['refreshes'],
    calls: end.calls.map((count, i) => count - start.calls[i]!)
  }
}

/** The refreshes of minutes, by their meaning for an operator. */
export function sumUp (minutes: Minute[]): Record<'done' | 'refused' | 'reused' | 'failed', number> & { outcomes: Array<[RefreshOutcome, number]> } {
  const sums = { done: 0, refused: 0, reused: 0, failed: 0 }
  const outcomes = new Map<RefreshOutcome, number>()
  for (const { refreshes } of minutes) {
    for (const [outcome, count] of Object.entries(refreshes) as Array<[RefreshOutcome, number]>) {
      sums[meaningOf(outcome)] += count
      if (count > 0) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + count)
    }
  }
  return { ...sums, outcomes: [...outcomes].sort(([, a], [, b]) => b - a) }
}

function meaningOf (outcome: RefreshOutcome): 'done' | 'refused' | 'reused' | 'failed' {
  switch (outcome) {
    case 'rotated': case 'retried': case 'recovered': return 'done'
    case 'reused': return 'reused'
    case 'unavailable': case 'limited': case 'overloaded': case 'aborted': return 'failed'
    default: return 'refused'
  }
}

/**
 * The bound below which a share of the calls of minutes stayed, seconds; `Infinity` above the last bound, `undefined` without calls.
 */
export function quantile (minutes: Minute[], buckets: readonly number[], share: number): number | undefined {
  const counts = minutes.reduce<number[]>((sums, { calls }) => calls.map((count, i) => count + (sums[i] ?? 0)), [])
  const total = counts.reduce((sum, count) => sum + count, 0)
  if (total === 0) return undefined
  let below = 0
  return buckets.find((_, i) => (below += counts[i]!) >= share * total) ?? Infinity
}
