import type { Histogram as PromHistogram, Registry } from 'prom-client'

/**
 * Histograms of plain numbers. prom-client's own histogram builds a string from the labels at every observation, some
 * 0.4 µs; here callers keep their series, and an observation costs an addition or two.
 */

/** The observations of one combination of labels. */
export interface Series {
  readonly labels: Record<string, string | number>
  readonly buckets: readonly number[]
  /** Observations by bucket, each counted in one; the last bucket is above every bound. */
  readonly counts: number[]
  sum: number
}

/** Series may be added at any time. */
export interface Histogram {
  /** Upper bounds, ascending. */
  readonly buckets: readonly number[]
  readonly series: Series[]
}

/** Creates a histogram without series and registers it. */
export function createHistogram (registry: Registry, definition: { name: string, help: string, buckets: readonly number[] }): Histogram {
  const { name, help, buckets } = definition
  const histogram: Histogram = { buckets, series: [] }
  const get = async (): Promise<object> => ({ name, help, type: 'histogram', values: histogram.series.flatMap(series => samples(name, series)) })
  // A registry uses only `name` and `get` of a metric, of any class.
  registry.registerMetric({ name, get } as unknown as PromHistogram)
  return histogram
}

/** Adds a series. The caller keeps it, and must not add another with the same labels. */
export function addSeries ({ buckets, series }: Histogram, labels: Series['labels']): Series {
  const added = { labels, buckets, counts: Array.from({ length: buckets.length + 1 }, () => 0), sum: 0 }
  series.push(added)
  return added
}

/** Adds an observation to a series. Allocates nothing. */
export function observe (series: Series, value: number): void {
  const { buckets, counts } = series
  let i = 0
  while (i < buckets.length && value > buckets[i]!) i++
  counts[i]!++
  series.sum += value
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
