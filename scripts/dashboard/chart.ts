import { format, ticksTo } from './units.ts'

/** A line chart as SVG, in the colours of style.ts, which follow the reader's light or dark page. */

export interface Chart {
  title: string
  unit: string
  stacked: boolean
  series: Series[]
  /** Unix seconds. */
  from: number
  to: number
  /** What happened when, by its number; Unix seconds. */
  marks: Array<{ number: number, from: number, to: number }>
}

export interface Series {
  name: string
  /** A class of style.ts. */
  color: string
  /** Unix seconds and values in the order of time; where there is none for a while the line is interrupted. */
  points: Array<[time: number, value: number]>
}

export const WIDTH = 470
export const HEIGHT = 250
const PLOT = { left: 58, top: 40, width: WIDTH - 58 - 14, height: 118 }
const LEGEND = { top: PLOT.top + PLOT.height + 36, line: 15, character: 6.1 }

/** Seconds between two points beyond which they are not joined. */
const GAP = 2.5

export function drawChart ({ title, unit, stacked, series, from, to, marks }: Chart): string {
  const drawn = stacked ? stack(series.toSorted((a, b) => totalOf(b) - totalOf(a))) : series
  const { ticks, top } = ticksTo(Math.max(0, ...drawn.map(({ points }) => highestOf(points))), unit)
  const x = (time: number): number => round(PLOT.left + (time - from) / (to - from) * PLOT.width)
  const y = (value: number): number => round(PLOT.top + PLOT.height * (1 - value / top))
  const lines = drawn.map(({ color, points }) =>
    runs(points).map(run => drawRun(run.map(([time, value]) => [x(time), y(value)]), color, stacked, y(0))))
  return [
    `<rect class="panel" width="${WIDTH}" height="${HEIGHT}" rx="4"/>`,
    `<text class="title" x="14" y="24">${escape(title)}</text>`,
    ...marks.map(mark => drawMark(mark.number, x(mark.from), x(mark.to))),
    ...ticks.map(tick => `<path class="grid" d="M${PLOT.left} ${y(tick)}h${PLOT.width}"/>` +
      `<text class="axis" text-anchor="end" x="${PLOT.left - 7}" y="${y(tick) + 4}">${format(tick, unit)}</text>`),
    ...timeTicks(to - from).map(seconds => `<text class="axis" text-anchor="middle" x="${x(from + seconds)}" y="${PLOT.top + PLOT.height + 16}">${seconds} s</text>`),
    // Areas reach the ground: the last of a stack is drawn first, and the others cover it.
    ...(stacked ? lines.reverse() : lines).flat(),
    ...drawLegend(series, unit)
  ].join('\n')
}

/** Each series upon those before it. */
function stack (series: Series[]): Series[] {
  const below = new Map<number, number>()
  return series.map(one => ({
    ...one,
    points: one.points.map(([time, value]) => {
      const sum = value + (below.get(time) ?? 0)
      below.set(time, sum)
      return [time, sum]
    })
  }))
}

function runs (points: Series['points']): Array<Series['points']> {
  const all: Array<Series['points']> = []
  let last = -Infinity
  for (const point of points) {
    if (point[0] - last > GAP) all.push([])
    all.at(-1)!.push(point)
    last = point[0]
  }
  return all
}

function drawRun (points: Array<[number, number]>, color: string, filled: boolean, ground: number): string {
  const line = points.map(([x, y]) => `${x} ${y}`).join('L')
  const area = filled ? `<path class="area ${color}" d="M${points[0]![0]} ${ground}L${line}L${points.at(-1)![0]} ${ground}Z"/>` : ''
  return `${area}<path class="line ${color}" d="M${line}"/>`
}

function drawMark (number: number, from: number, to: number): string {
  return `<rect class="mark" x="${from}" y="${PLOT.top}" width="${Math.max(1.5, round(to - from))}" height="${PLOT.height}"/>` +
    `<text class="axis" text-anchor="middle" x="${round((from + to) / 2)}" y="${PLOT.top - 3}">${number}</text>`
}

/** The names of the series and their highest values, in as many columns as have room. */
function drawLegend (series: Series[], unit: string): string[] {
  const entries = series.map(({ name, color, points }) => ({ name, color, highest: `max ${format(highestOf(points), unit)}` }))
  const longest = Math.max(0, ...entries.map(({ name, highest }) => `${name} ${highest}`.length))
  const columns = Math.max(1, Math.floor((WIDTH - 28) / (longest * LEGEND.character + 28)))
  return entries.map(({ name, color, highest }, i) => {
    const x = round(14 + (i % columns) * (WIDTH - 28) / columns)
    const y = LEGEND.top + Math.floor(i / columns) * LEGEND.line
    return `<path class="line ${color}" d="M${x} ${y - 4}h10"/>` +
      `<text class="legend" x="${x + 15}" y="${y}">${escape(name)} <tspan class="axis">${highest}</tspan></text>`
  })
}

function totalOf ({ points }: Series): number {
  return points.reduce((sum, [, value]) => sum + value, 0)
}

function highestOf (points: Series['points']): number {
  return Math.max(0, ...points.map(([, value]) => value))
}

/** Whole seconds, at most seven of them. */
function timeTicks (duration: number): number[] {
  const step = [1, 2, 5, 10, 20, 30, 60].find(step => duration / step <= 6.5) ?? 120
  return Array.from({ length: Math.floor(duration / step) + 1 }, (_, i) => i * step)
}

function round (value: number): number {
  return Math.round(value * 10) / 10
}

function escape (text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
