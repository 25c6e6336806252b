export function print (line: string): void {
  console.log(line)
}

/** The value that a share of them does not exceed. */
export function quantile (values: number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.ceil(values.length * share) - 1]!
}
