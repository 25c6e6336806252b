export function print (line: string): void {
  console.log(line)
}

/** The value that the given share of `values` does not exceed. */
export function quantile (values: number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.ceil(values.length * share) - 1]!
}
