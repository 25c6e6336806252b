import { Counter, type Histogram as PromHistogram, type Registry } from 'prom-client'

// Counters and histograms as plain numbers; prom-client renders them. prom-client's own look up their labels at every call:
// measured in one run, the two observations and the count of a refresh cost 1,100 ns with its classes and 44 ns with these.

/**
 * A counter with a number for every value of its single label. All values are rendered from the start, at 0, so that
 * Prometheus sees the first event as a rise.
 */
export function createCounts<Value extends string> (
  registry: Registry, definition: { name: string, help: string, labelNames: readonly [string], values: readonly Value[] }
): Record<Value, number> {
  const { name, help, labelNames: [label], values } = definition
  const counts = Object.fromEntries(values.map(value => [value, 0])) as Record<Value, number>
  registry.registerMetric(new Counter({
    name,
    help,
    labelNames: [label],
    registers: [],
    collect () {
      this.reset()
      for (const value of values) this.inc({ [label]: value }, counts[value])
    }
  }))
  return counts
}

/** The observations of one combination of labels. */
export interface Series {
  readonly labels: Record<string, string | number>
  readonly buckets: readonly number[]
  /** Observations in each bucket, not cumulative; the last bucket has no upper bound. */
  readonly counts: number[]
  sum: number
}

export interface Histogram {
  /** Upper bounds, ascending. */
  readonly buckets: readonly number[]
  readonly series: Series[]
}

/** Registers a histogram without series. */
export function createHistogram (registry: Registry, definition: { name: string, help: string, buckets: readonly number[] }): Histogram {
  const { name, help, buckets } = definition
  const series: Series[] = []
  const get = async (): Promise<object> => ({ name, help, type: 'histogram', values: series.flatMap(one => samples(name, one)) })
  // A registry uses only `name` and `get` of a metric, of any class.
  registry.registerMetric({ name, get } as unknown as PromHistogram)
  return { buckets, series }
}

/** Adds a series, at any time. The caller keeps it, and must not add another with the same labels. */
export function addSeries ({ buckets, series }: Histogram, labels: Series['labels']): Series {
  const added = { labels, buckets, counts: Array.from({ length: buckets.length + 1 }, () => 0), sum: 0 }
  series.push(added)
  return added
}

/** Adds an observation to a series, or several of the same value. Allocates nothing. */
export function observe (series: Series, value: number, times = 1): void {
  const { buckets, counts } = series
  let i = 0
  while (i < buckets.length && value > buckets[i]!) i++
  counts[i]! += times
  series.sum += value * times
}

/** Samples in Prometheus's form: buckets are cumulative, and the last one, `+Inf`, equals the count. */
function samples (name: string, { labels, buckets, counts, sum }: Series): object[] {
  let count = 0
  const cumulative = counts.map((inBucket, i) => {
    count += inBucket
    return { metricName: `${name}_bucket`, labels: { ...labels, le: buckets[i] ?? '+Inf' }, value: count }
  })
  return [...cumulative, { metricName: `${name}_sum`, labels, value: sum }, { metricName: `${name}_count`, labels, value: count }]
}
