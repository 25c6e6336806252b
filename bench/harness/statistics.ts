/** Median and range of some measurements. */
export interface Spread {
  median: number
  min: number
  max: number
  rounds: number
}

/** The value that the given share of `values` does not exceed. */
export function quantile (values: ArrayLike<number>, share: number): number {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]!
}

export function spread (values: number[]): Spread {
  return { median: quantile(values, 0.5), min: Math.min(...values), max: Math.max(...values), rounds: values.length }
}

/** Divides round by round: a busy moment of the machine affects both values of a round. */
export function ratios (values: number[], base: number[]): Spread {
  return spread(values.map((value, i) => value / base[i]!))
}
