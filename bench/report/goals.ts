import type { GrowthPoint } from '../suites/growth.ts'
import { quantile } from '../harness/statistics.ts'
import { bytes, factor, integer, milliseconds } from './format.ts'
import type { Results } from './read.ts'

/** One goal of this project, and whether the measured figures reach it. */
export interface Goal {
  name: string
  goal: string
  measured: string
  /** `undefined` when a quick run can't tell. */
  met: boolean | undefined
}

export const UNDECIDED = 'not decided by a quick run'

/** Goals of every suite that has been run. A quick run is too short for figures, but its races are valid. */
export function goals (results: Results): Goal[] {
  return [
    ...unlessQuick(results.speed, speedGoals(results)),
    ...unlessQuick(results.memory, memoryGoals(results)),
    ...unlessQuick(results.growth, growthGoals(results)),
    ...unlessQuick(results.sessions, sessionGoals(results)),
    ...unlessQuick(results.start, startGoals(results)),
    ...raceGoals(results)
  ]
}

function unlessQuick (run: { quick: boolean } | undefined, goals: Iterable<Goal>): Goal[] {
  return [...goals].map(goal => run?.quick ? { ...goal, met: undefined } : goal)
}

function * speedGoals ({ speed }: Results): Generator<Goal> {
  const { ours, ceiling } = speed?.results ?? {}
  if (ours === undefined) return
  if (ours.cpuToCeiling !== undefined) yield atLeast('The ceiling\'s CPU relative to the CPU of a refresh', 0.62, ours.cpuToCeiling.median, factor)
  if (ours.toOidcProvider !== undefined) yield atLeast('Throughput relative to node-oidc-provider', 8, ours.toOidcProvider.median, factor)
  if (ceiling !== undefined) {
    yield atMost('p99 at half load relative to the ceiling', 1, ours.latency.p99.median / ceiling.latency.p99.median, factor)
  }
  yield atMost('Redis CPU per refresh', 12, ours.redisCpu.median, value => `${value.toFixed(1)} µs`)
  if (ceiling !== undefined) yield atMost('Resident memory under load relative to the ceiling', 1.25, ours.rss / ceiling.rss, factor)
}

function * memoryGoals ({ memory }: Results): Generator<Goal> {
  const ours = memory?.results.ours
  if (ours === undefined) return
  yield atMost('Redis memory per user with one session', 250, ours.perUser, bytes)
  yield atMost('Redis memory per further session', 100, ours.perFurtherSession!, bytes)
}

function * growthGoals ({ growth }: Results): Generator<Goal> {
  const ours = growth?.results.ours
  if (ours === undefined) return
  const [first, last] = [ours.points[0]!, ours.points.at(-1)!]
  const rotations = `${integer(last.rotations)} rotations of ${integer(ours.sessions)} sessions`
  const sameKeys = last.keys === first.keys
  yield {
    ...atMost(`Redis memory after ${rotations}`, 1.02, last.memory / first.memory, factor),
    ...(sameKeys ? {} : { met: false, measured: `${integer(last.keys - first.keys)} more keys` })
  }
  const early = ours.points.find(point => point.rotations >= last.rotations / 10)!
  yield atMost(`Resident memory after ${integer(last.rotations)} refreshes relative to ${integer(early.rotations)}`, 1.05, last.rss / early.rss, factor)
  yield atLeast(`Throughput after ${rotations}`, 0.9, lateSpeed(ours.points) / earlySpeed(ours.points), factor)
}

/** Medians of the first and last quarter, because a single stretch depends on the machine's state at that moment. */
const earlySpeed = (points: GrowthPoint[]): number => speedOf(points.slice(1, 1 + Math.ceil(points.length / 4)))
const lateSpeed = (points: GrowthPoint[]): number => speedOf(points.slice(-Math.ceil(points.length / 4)))
const speedOf = (points: GrowthPoint[]): number => quantile(points.map(({ perSecond }) => perSecond), 0.5)

function * sessionGoals ({ sessions }: Results): Generator<Goal> {
  if (sessions === undefined) return
  const { few, many, ratio } = sessions.results
  yield atLeast(`Throughput with ${integer(many.sessions)} sessions relative to ${integer(few.sessions)}`, 0.9, ratio.median, factor)
}

function * startGoals ({ start }: Results): Generator<Goal> {
  if (start !== undefined) yield atMost('Ready after', 1000, start.results.ready.median, milliseconds)
}

function * raceGoals ({ race }: Results): Generator<Goal> {
  const ours = race?.results.ours
  if (ours !== undefined) {
    yield atMost(`Tokens double-spent, ${ours.rounds} races of ${ours.copies} copies`, 0, ours.doubleSpent, integer)
    yield atMost('Sessions lost in those races', 0, ours.lostSessions, integer)
  }
}

function atLeast (name: string, least: number, value: number, format: (value: number) => string): Goal {
  return { name, goal: `≥ ${format(least)}`, measured: format(value), met: value >= least }
}

function atMost (name: string, most: number, value: number, format: (value: number) => string): Goal {
  return { name, goal: most === 0 ? '0' : `≤ ${format(most)}`, measured: format(value), met: value <= most }
}
