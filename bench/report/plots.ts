import { bytes, factor, integer, milliseconds } from './format.ts'
import { barChart } from './bars.ts'
import { growthPlot } from './growth-plot.ts'
import { latencyPlot } from './latency-plot.ts'
import type { Results } from './read.ts'
import { measured } from './tables.ts'

/** Draws every plot that has results, by file name. */
export function plots ({ speed, memory, growth }: Results): Record<string, string> {
  return {
    ...(speed === undefined ? {} : { 'speed.svg': speedPlot(speed.results), 'latency.svg': latencyPlot(speed.results) }),
    ...(memory === undefined ? {} : { 'memory.svg': memoryPlot(memory.results) }),
    ...(growth === undefined ? {} : { 'growth.svg': growthPlot(growth.results) })
  }
}

function speedPlot (results: NonNullable<Results['speed']>['results']): string {
  return barChart({
    title: 'Speed by CPU time, one process',
    subtitle: 'Relative to the ceiling: a bare Fastify route and one call of an empty script. Median and range of the rounds',
    bars: measured(results).flatMap(name => {
      const { cpuToCeiling, perSecond, cpu, latency } = results[name]!
      if (cpuToCeiling === undefined) return []
      return [{
        name,
        value: cpuToCeiling.median,
        range: [cpuToCeiling.min, cpuToCeiling.max] as [number, number],
        label: factor(cpuToCeiling.median),
        note: `${integer(perSecond.median)}/s · ${integer(cpu.median)} µs CPU · p99 ${milliseconds(latency.p99.median)}`
      }]
    }),
    goal: { value: 0.62, label: 'goal 0.62' }
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
