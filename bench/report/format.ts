import type { Spread } from '../harness/statistics.ts'

/** Formats figures, the same way in tables, plots and the console. */

export const integer = (value: number): string => Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, ',')

export const bytes = (value: number): string => `${integer(value)} bytes`

export const megabytes = (value: number): string => `${(value / 1e6).toFixed(0)} MB`

export const factor = (value: number): string => `${value.toFixed(value < 10 ? 2 : 1)} ×`

export const milliseconds = (value: number): string => `${value < 100 ? value.toPrecision(2) : integer(value)} ms`

/** The median, with minimum and maximum. */
export function withSpread ({ median, min, max }: Spread, format: (value: number) => string): string {
  return `${format(median)} (${format(min).replace(/ .*/, '')}–${format(max).replace(/ .*/, '')})`
}

/** A Markdown table; all columns but the first hold figures. */
export function markdownTable (head: string[], rows: string[][]): string {
  const line = (cells: string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), `|---|${'--:|'.repeat(head.length - 1)}`, ...rows.map(line)].join('\n')
}
