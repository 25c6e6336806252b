import type { SpeedResult } from '../suites/speed.ts'
import { integer, milliseconds } from './format.ts'
import { dot, line, picture, text } from './svg.ts'
import { titles } from '../harness/contenders.ts'
import { measured } from './tables.ts'

const WIDTH = 760
const LEFT = 190
const RIGHT = 724
const TOP = 104
const ROW = 52

/** Plots the median, 99th and 99.9th percentile of each contender on one logarithmic scale. */
export function latencyPlot (results: SpeedResult): string {
  const names = measured(results)
  const values = names.map(name => {
    const { p50, p99, p999 } = results[name]!.latency
    return [p50, p99, p999].map(({ median }) => median)
  })
  const first = Math.floor(Math.log10(Math.min(...values.flat()) * 0.8))
  const last = Math.ceil(Math.log10(Math.max(...values.flat()) * 1.2))
  const x = (ms: number): number => LEFT + (RIGHT - LEFT) * (Math.log10(ms) - first) / (last - first)
  const bottom = TOP + names.length * ROW - 14
  const shapes = [
    text(24, 54, 'Milliseconds (logarithmic) from the due time of a request to its answer, each contender at half of its maximum', 'soft'),
    dot(30, 74, 5, 'other hollow'), text(42, 78, 'median', 'soft'),
    dot(104, 74, 6, 'other'), text(116, 78, '99 %', 'soft'),
    dot(164, 74, 3.5, 'other'), text(174, 78, '99.9 %', 'soft')
  ]
  for (let exponent = first; exponent <= last; exponent++) {
    const at = x(10 ** exponent)
    shapes.push(line([[at, TOP - 18], [at, bottom]]), text(at, bottom + 18, String(10 ** exponent), 'soft', 'middle'))
  }
  for (const [i, name] of names.entries()) {
    const [y, color] = [TOP + i * ROW, name === 'ours' ? 'ours' : 'other']
    const at = values[i]!.map(x)
    shapes.push(text(LEFT - 12, y + 5, titles[name], color === 'ours' ? 'strong' : '', 'end'))
    shapes.push(text(LEFT - 12, y + 21, `${integer(results[name]!.latency.rate)}/s`, 'soft', 'end'))
    shapes.push(line([[at[0]!, y], [at[2]!, y]], color))
    shapes.push(dot(at[0]!, y, 5, `${color} hollow`), dot(at[1]!, y, 6, color), dot(at[2]!, y, 3.5, color))
    for (const [j, label] of spreadLabels(at).entries()) {
      shapes.push(text(label, y + 21, milliseconds(values[i]![j]!).replace(' ms', ''), j === 1 ? 'strong' : 'soft', 'middle'))
    }
  }
  const description = names.map((name, i) => `${titles[name]}: ${values[i]!.map(milliseconds).join(', ')}.`).join(' ')
  return picture('Latency at half load', description, WIDTH, bottom + 34, shapes)
}

/** Moves overlapping labels apart. */
function spreadLabels (positions: number[], apart = 34): number[] {
  const moved = [...positions]
  for (let i = 1; i < moved.length; i++) moved[i] = Math.max(moved[i]!, moved[i - 1]! + apart)
  return moved
}
