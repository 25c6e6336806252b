import { bar, line, picture, text } from './svg.ts'
import { titles, type ContenderName } from '../harness/contenders.ts'

export interface Bar {
  name: ContenderName
  value: number
  /** Smallest and largest measurement, if they vary. */
  range?: [min: number, max: number]
  /** Text after the bar: the figure, and an optional note below it. */
  label: string
  note?: string
}

export interface BarChart {
  title: string
  subtitle: string
  bars: Bar[]
  /** A value that the product should reach, or stay below. */
  goal?: { value: number, label: string }
}

const WIDTH = 760
const LEFT = 190
/** Right end of the longest bar; its label needs the remaining width. */
const RIGHT = 520
const TOP = 96
const ROW = 44
const THICKNESS = 20

/** Draws one bar for each contender, the product's in colour, with a whisker for the spread over the rounds. */
export function barChart ({ title, subtitle, bars, goal }: BarChart): string {
  const longest = Math.max(...bars.map(({ value, range }) => range?.[1] ?? value), goal?.value ?? 0)
  const x = (value: number): number => LEFT + (RIGHT - LEFT) * value / longest
  const height = TOP + bars.length * ROW
  const shapes = [text(24, 54, subtitle, 'soft')]
  for (const [i, { name, value, range, label, note }] of bars.entries()) {
    const [y, color] = [TOP + i * ROW, name === 'ours' ? 'ours' : 'other']
    const middle = y + THICKNESS / 2
    shapes.push(text(LEFT - 12, middle + 5, titles[name], color === 'ours' ? 'strong' : '', 'end'))
    shapes.push(bar({ x: LEFT, y, width: x(value) - LEFT, height: THICKNESS }, color))
    if (range !== undefined) {
      const [from, to] = range.map(x) as [number, number]
      shapes.push(line([[from, middle], [to, middle]], 'spread'))
      for (const end of [from, to]) shapes.push(line([[end, middle - 4], [end, middle + 4]], 'spread'))
    }
    const behind = x(Math.max(range?.[1] ?? value, color === 'ours' ? goal?.value ?? 0 : 0)) + 10
    shapes.push(text(behind, note === undefined ? middle + 5 : middle - 1, label, color === 'ours' ? 'strong' : ''))
    if (note !== undefined) shapes.push(text(behind, middle + 14, note, 'soft'))
  }
  const own = bars.findIndex(({ name }) => name === 'ours')
  if (goal !== undefined && own !== -1) {
    const [at, y] = [x(goal.value), TOP + own * ROW]
    shapes.push(line([[at, y - 8], [at, y + THICKNESS + 8]], 'goal'), text(at, y - 13, goal.label, 'goal-text', 'middle'))
  }
  const description = bars.map(({ name, label, note }) => `${titles[name]}: ${label}${note === undefined ? '' : `, ${note}`}.`).join(' ')
  return picture(title, description, WIDTH, height, shapes)
}
