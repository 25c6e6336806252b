import { bytes, factor, integer, milliseconds } from './format.ts'
import { barChart } from './bars.ts'
import { growthPlot } from './growth-plot.ts'
import { latencyPlot } from './latency-plot.ts'
import type { Results } from './read.ts'
import { measured } from './tables.ts'

/** Draws every plot color results exist, by file name. */
export function plots ({ speed, memory, growth }: Results): Record<string, string> {
  return {
    ...(speed === undefined ? {} : { 'speed.svg': speedPlot(speed.results), 'latency.svg': latencyPlot(speed.results) }),
    ...(memory === undefined ? {} : { 'memory.svg': memoryPlot(memory.results) }),
    ...(growth === undefined ? {} : { 'growth.svg': growthPlot(growth.results) })
  }
}

function speedPlot (results: NonNullable<Results['speed']>['results']): string {
  return barChart({
    title: 'Refreshes per second, one process on one core',
    subtitle: 'Relative to the ceiling: a bare Fastify route and one call of an empty script. Median and range of the rounds',
    bars: measured(results).flatMap(name => {
      const { toCeiling, perSecond, cpu, latency } = results[name]!
      if (toCeiling === undefined) return []
      return [{
        name,
        value: toCeiling.median,
        range: [toCeiling.min, toCeiling.max] as [number, number],
        label: factor(toCeiling.median),
        note: `${integer(perSecond.median)}/s · ${integer(cpu.median)} µs CPU · p99 ${milliseconds(latency.p99.median)}`
      }]
    }),
    goal: { value: 0.6, label: 'goal 0.60' }
  })
}

function memoryPlot (results: NonNullable<Results['memory']>['results']): string {
  return barChart({
    title: 'Redis memory of a user with one session',
    subtitle: 'Bytes for a session just opened: data, key, expiry and their tables',
    bars: measured(results).map(name => {
      const { perUser, perUserLong, perFurtherSession } = results[name]!
      return {
        name,
        value: perUser,
        label: bytes(perUser),
        ...(perUserLong === undefined || perFurtherSession === undefined
          ? {}
          : { note: `${integer(perUserLong)} with a long e-mail address · ${integer(perFurtherSession)} for each further session` })
      }
    }),
    goal: { value: 250, label: 'goal 250' }
  })
}
