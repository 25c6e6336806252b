import type { GrowthResults } from '../suites/growth.ts'
import { bytes, integer } from './format.ts'
import { dot, line, picture, text } from './svg.ts'
import { titles } from '../harness/contenders.ts'
import { measured } from './tables.ts'

const WIDTH = 760
const LEFT = 70
const RIGHT = 540
const TOP = 84
const BOTTOM = 300

/** Plots Redis's memory growth since the warm-up against the rotations of the same sessions. */
export function growthPlot (results: GrowthResults): string {
  const lines = measured(results).map(name => {
    const { points, bytesPerRotation } = results[name]!
    const [{ memory, rotations }] = points as [typeof points[number]]
    return {
      name,
      label: `${bytes(Math.max(0, bytesPerRotation))} per refresh`,
      points: points.slice(1).map(point => ({ rotations: point.rotations - rotations, added: (point.memory - memory) / 2 ** 20 }))
    }
  })
  const all = lines.flatMap(({ points }) => points)
  const [least, most] = [Math.min(...all.map(({ rotations }) => rotations)), Math.max(...all.map(({ rotations }) => rotations))]
  const highest = niceTop(Math.max(...all.map(({ added }) => added)))
  const x = (rotations: number): number => LEFT + (RIGHT - LEFT) * Math.log(rotations / least) / Math.log(most / least)
  const y = (added: number): number => BOTTOM - (BOTTOM - TOP) * Math.max(0, added) / highest
  const shapes = [text(24, 54, `Growth since the warm-up in MiB, by rotations (logarithmic) of the same ${integer(results[lines[0]!.name]!.sessions)} sessions`, 'soft')]
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    const at = y(share * highest)
    shapes.push(line([[LEFT, at], [RIGHT, at]]), text(LEFT - 10, at + 4, String(Number((share * highest).toPrecision(3))), 'soft', 'end'))
  }
  for (let rotations = 10 ** Math.ceil(Math.log10(least)); rotations <= most * 1.001; rotations *= 10) {
    shapes.push(text(x(rotations), BOTTOM + 20, integer(rotations), 'soft', 'middle'))
  }
  const labels = apart(lines.map(({ points }) => Math.min(y(points.at(-1)!.added), BOTTOM - 12)))
  for (const [i, { name, label, points }] of lines.entries()) {
    const color = name === 'ours' ? 'ours' : 'other'
    const end = points.at(-1)!
    shapes.push(line(points.map(({ rotations, added }) => [x(rotations), y(added)]), color))
    shapes.push(dot(x(end.rotations), y(end.added), 4, color))
    shapes.push(line([[x(end.rotations) + 6, y(end.added)], [RIGHT + 8, labels[i]!]]))
    shapes.push(text(RIGHT + 14, labels[i]!, titles[name], color === 'ours' ? 'strong' : ''))
    shapes.push(text(RIGHT + 14, labels[i]! + 15, label, 'soft'))
  }
  const description = lines.map(({ name, label }) => `${titles[name]}: ${label}.`).join(' ')
  return picture('Redis memory that rotations leave behind', description, WIDTH, BOTTOM + 40, shapes)
}

/** Rounds up to the next of 1, 2, 5, 10, … */
function niceTop (value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 0.1)))
  return [1, 2, 5, 10].map(step => step * power).find(top => top >= value)!
}

/** Moves overlapping labels apart, upwards from the lowest. */
function apart (positions: number[], distance = 36): number[] {
  const moved = [...positions]
  const order = [...positions.keys()].sort((a, b) => positions[b]! - positions[a]!)
  for (let i = 1; i < order.length; i++) moved[order[i]!] = Math.min(moved[order[i]!]!, moved[order[i - 1]!]! - distance)
  return moved
}
