import { contenderNames, titles, type ContenderName } from '../harness/contenders.ts'
import type { Machine } from '../harness/machine.ts'
import { bytes, factor, integer, markdownTable, megabytes, milliseconds, withSpread } from './format.ts'
import { goals, UNDECIDED } from './goals.ts'
import { suiteNames, type Results, type Run } from './read.ts'

/** Contenders with results, in the same order everywhere. */
export function measured (results: Partial<Record<ContenderName, unknown>>): ContenderName[] {
  return contenderNames.filter(name => results[name] !== undefined)
}

/** The full report, for the bench's README.md. */
export function fullReport (results: Results): string {
  return [
    goalTable(results),
    results.speed && '![Refreshes per second relative to the ceiling](results/speed.svg)',
    speedTable(results),
    results.speed && '![Latency at half load](results/latency.svg)',
    latencyTable(results),
    saturationTable(results),
    profileTable(results),
    raceTable(results),
    results.memory && '![Redis memory of a user with one session](results/memory.svg)',
    results.growth && '![Redis memory that rotations leave behind](results/growth.svg)',
    growthTable(results),
    scaleTable(results),
    featureTable(results),
    provenance(results)
  ].filter(text => text !== undefined).join('\n\n')
}

/** Three figures of all contenders, for the project's README. */
export function summary (results: Results): string {
  const { speed, race, memory } = results
  const names = measured({ ...memory?.results, ...speed?.results })
  const rows = names.map(name => {
    const of = speed?.results[name]
    const raced = race?.results[name]
    return [
      titles[name],
      of?.cpuToCeiling === undefined ? '' : `${of.cpuToCeiling.median.toFixed(2)}`,
      cell(memory?.results[name], ({ perUser }) => bytes(perUser)),
      cell(raced, ({ doubleSpent, lostSessions, rounds }) => `${integer(doubleSpent)} and ${lostSessions} of ${rounds}`)
    ]
  })
  const head = ['', 'speed by CPU, ceiling = 1', 'Redis memory per session', 'tokens double-spent and sessions lost in races']
  return `${markdownTable(head, rows)}\n\n${provenance({ ...speed && { speed }, ...race && { race }, ...memory && { memory } })}`
}

const cell = <T>(value: T | undefined, format: (value: T) => string): string => value === undefined ? '' : format(value)

function goalTable (results: Results): string {
  const rows = goals(results).map(({ name, goal, measured, met }) => [name, goal, measured, met === undefined ? UNDECIDED : met ? 'met' : '**missed**'])
  return markdownTable(['goal', 'at', 'measured', ''], rows)
}

function speedTable ({ speed }: Results): string | undefined {
  if (speed === undefined) return undefined
  const share = (value: number): string => `${(value * 100).toFixed(0)} %`
  const rows = measured(speed.results).map(name => {
    const of = speed.results[name]!
    return [
      titles[name],
      withSpread(of.perSecond, integer),
      of.toCeiling === undefined ? '' : withSpread(of.toCeiling, factor),
      withSpread(of.cpu, integer),
      of.cpuToCeiling === undefined ? '' : withSpread(of.cpuToCeiling, factor),
      withSpread(of.redisCpu, value => value.toFixed(1)),
      share(of.serviceShare),
      `${share(of.redisShare)}, ${share(of.generatorShare)}`,
      megabytes(of.rss)
    ]
  })
  const head = [
    '', 'refreshes/s', 'relative to ceiling', 'service CPU per refresh, µs', 'ceiling\'s CPU relative to it',
    'Redis CPU per refresh, µs', 'service, share of its core',
    'Redis and generator, share of their core', 'resident memory'
  ]
  return markdownTable(head, rows)
}

function latencyTable ({ speed }: Results): string | undefined {
  if (speed === undefined) return undefined
  const rows = measured(speed.results).map(name => {
    const { rate, p50, p99, p999, generatorDelayP99 } = speed.results[name]!.latency
    return [titles[name], integer(rate), ...[p50, p99, p999].map(value => withSpread(value, milliseconds)), milliseconds(generatorDelayP99)]
  })
  return markdownTable(['', 'at refreshes/s', 'p50', 'p99', 'p99.9', 'delay of the generator, p99'], rows)
}

function saturationTable ({ saturation }: Results): string | undefined {
  if (saturation === undefined) return undefined
  const { processes, perSecond, redisCpu, redisShare, atFullCore } = saturation.results
  return markdownTable(['one Redis server, without services', 'refreshes/s', 'Redis CPU per refresh, µs', 'Redis, share of its core', 'refreshes/s that fill its core'], [[
    `${processes} processes`, withSpread(perSecond, integer), withSpread(redisCpu, value => value.toFixed(1)),
    withSpread(redisShare, value => value.toFixed(2)), withSpread(atFullCore, integer)
  ]])
}

function profileTable ({ profile }: Results): string | undefined {
  if (profile === undefined) return undefined
  const { cpu, parts } = profile.results
  const rows = parts.map(part => [part.name, `${part.cpu.toFixed(1)} µs`, `${(100 * part.cpu / cpu).toFixed(0)} %`])
  return markdownTable(['CPU time of a refresh, by part', 'CPU', ''], [...rows, ['total', `${cpu.toFixed(1)} µs`, '']])
}

function raceTable ({ race }: Results): string | undefined {
  if (race === undefined) return undefined
  const rows = measured(race.results).map(name => {
    const { copies, rounds, doubleSpent, doubleSpentRounds, lostSessions } = race.results[name]!
    return [titles[name], `${rounds} × ${copies}`, integer(doubleSpent), integer(doubleSpentRounds), integer(lostSessions)]
  })
  return markdownTable(['one token sent many times at once', 'races', 'tokens double-spent', 'races with double-spent tokens', 'sessions lost'], rows)
}

function growthTable ({ growth }: Results): string | undefined {
  if (growth === undefined) return undefined
  const rows = measured(growth.results).map(name => {
    const { points, bytesPerRotation } = growth.results[name]!
    const [first, last] = [points[0]!, points.at(-1)!]
    const mib = (value: number): string => `${(value / 2 ** 20).toFixed(1)} MiB`
    return [
      titles[name], integer(last.rotations), `${mib(first.memory)} → ${mib(last.memory)}`, `${integer(first.keys)} → ${integer(last.keys)}`,
      bytes(bytesPerRotation), `${integer(points[1]!.cpu)} → ${integer(last.cpu)} µs`,
      `${megabytes(points[1]!.rss)} → ${megabytes(last.rss)}`
    ]
  })
  return markdownTable(['repeated rotation of the same sessions', 'rotations', 'Redis memory', 'keys', 'growth per refresh', 'CPU per refresh', 'resident memory'], rows)
}

function scaleTable ({ sessions, 'five-million': most }: Results): string | undefined {
  const rows: string[][] = []
  for (const run of [sessions, most]) {
    if (run === undefined) continue
    for (const { sessions, perSecond, redisCpu, memoryPerSession } of [run.results.few, run.results.many]) {
      const memory = sessions < 100_000 ? '' : bytes(memoryPerSession)
      rows.push([`${integer(sessions)} sessions`, withSpread(perSecond, integer), `${redisCpu.toFixed(1)} µs`, memory])
    }
  }
  if (rows.length === 0) return undefined
  return markdownTable(['scale', 'refreshes/s', 'Redis CPU per refresh', 'Redis memory per session'], rows)
}

function featureTable ({ features }: Results): string | undefined {
  if (features === undefined) return undefined
  const rows = features.results.map(({ name, bytes: size, refresh }) => [
    name,
    bytes(size),
    cell(refresh, ({ redisCpu }) => redisCpu.median.toFixed(1)),
    cell(refresh, ({ redisToPlain }) => withSpread(redisToPlain, factor)),
    cell(refresh, ({ cpu }) => integer(cpu.median)),
    cell(refresh, ({ toPlain }) => withSpread(toPlain, factor))
  ])
  const head = [
    'the cost of', 'record of a user with one session', 'Redis CPU per refresh, µs', 'relative to plain', 'service CPU per refresh, µs', 'relative to plain'
  ]
  return markdownTable(head, rows)
}

/** Machines, versions and dates of the runs: suites may have been run on different days. */
function provenance (results: Results): string {
  const runs = suiteNames.map(name => results[name]).filter(run => run !== undefined) as Array<Run<unknown>>
  const lines = [...new Set(runs.map(({ machine, date }) => `${describe(machine)}, ${date}.`))]
  if (runs.some(({ quick }) => quick)) lines.push('**A trial run (`--quick`): its figures mean nothing.**')
  return lines.join('\n')
}

function describe ({ cpu, cores, memoryGiB, system, pinned, node, redis, packages }: Machine): string {
  const versions = Object.entries(packages).map(([name, version]) => `${name} ${version}`).join(', ')
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${system}, ${pinned ? '' : 'not pinned, '}Node ${node}, Redis ${redis}, ${versions}`
}
