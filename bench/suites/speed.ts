import { withEnvironment, rotated, type Contender, type BenchEnvironment } from '../harness/environment.ts'
import { quantile, ratios, spread, type Spread } from '../harness/statistics.ts'
import { cpuOf, watchRss } from '../harness/usage.ts'
import type { ContenderName } from '../harness/contenders.ts'
import type { Report, Settings } from '../settings.ts'

/** Maximum refreshes a second on one core, and latency at half of that rate. */
export interface SpeedOf {
  perSecond: Spread
  /** Speed divided by the ceiling's in the same round. */
  toCeiling: Spread | undefined
  /** The ceiling's CPU time of a request divided by that of a refresh, by round: steadier than speeds. */
  cpuToCeiling: Spread | undefined
  /** Speed divided by node-oidc-provider's in the same round. */
  toOidcProvider: Spread | undefined
  /** Microseconds of CPU for each refresh: the service's, and Redis's. */
  cpu: Spread
  redisCpu: Spread
  /** Shares of a core: near 1 for the service when it was the bottleneck. */
  serviceShare: number
  redisShare: number
  generatorShare: number
  /** Largest resident memory, in bytes. */
  rss: number
  latency: { rate: number, p50: Spread, p99: Spread, p999: Spread, generatorDelayP99: number }
  refreshes: number
}

export type SpeedResult = Partial<Record<ContenderName, SpeedOf>>

/** Measurements of one round, the input of medians and spreads. */
type Round = Record<'perSecond' | 'cpu' | 'redisCpu' | 'serviceShare' | 'redisShare' | 'generatorShare' | 'rss' | 'total', number>
type LatencyRound = Record<'p50' | 'p99' | 'p999' | 'generatorDelay', number>

export async function speed (settings: Settings, report: Report) {
  return await withEnvironment(settings, settings.contenders, async environment => {
    const { load, contenders, machine } = environment
    for (const contender of contenders) {
      await load.sessions(contender, await contender.open(1, settings.sessions))
      // Warm-up: the first requests of a process are slower.
      await load.count(contender.name, { connections: settings.connections, count: settings.sessions })
    }

    const throughputs = await inTurns(contenders, settings.rounds, async contender => {
      const round = await throughput(environment, contender, settings)
      report(`${contender.name.padEnd(14)} ${round.perSecond.toFixed(0).padStart(6)} refreshes/s  ` +
        `${round.cpu.toFixed(0).padStart(5)} µs CPU  ${(round.serviceShare * 100).toFixed(0)} % of its core`)
      return round
    })
    // Each contender runs at half of its own maximum: at a common rate, the figures of the slow ones would show only their queue.
    const rateOf = (name: ContenderName): number => quantile(throughputs.get(name)!.map(({ perSecond }) => perSecond), 0.5) / 2
    const latencies = await inTurns(contenders, settings.rounds, async ({ name }) => {
      const round = await latency(environment, name, settings, rateOf(name))
      report(`${name.padEnd(14)} p50 ${round.p50.toFixed(2)} ms  p99 ${round.p99.toFixed(2)} ms  at ${rateOf(name).toFixed(0)} refreshes/s`)
      return round
    })

    const results: SpeedResult = {}
    for (const { name } of contenders) results[name] = summarize(name, throughputs, latencies.get(name)!, rateOf(name))
    return { machine, results }
  })
}

/** Measures every contender once a round; each round starts with another one. */
async function inTurns<T> (
  contenders: Contender[], rounds: number, turn: (contender: Contender) => Promise<T>
): Promise<Map<ContenderName, T[]>> {
  const results = new Map(contenders.map(({ name }) => [name, [] as T[]]))
  for (let round = 0; round < rounds; round++) {
    for (const contender of rotated(contenders, round)) results.get(contender.name)!.push(await turn(contender))
  }
  return results
}

async function throughput ({ load }: BenchEnvironment, contender: Contender, settings: Settings): Promise<Round> {
  const { connections, warmup, seconds } = settings
  const stopWatching = watchRss(contender.pid)
  const [before, redisBefore, start] = [cpuOf(contender.pid), await contender.redis.info(), performance.now()]
  const { perSecond, total, generatorCpu } = await load.closed(contender.name, { connections, warmup, seconds })
  const cpu = cpuOf(contender.pid) - before
  const redisCpu = (await contender.redis.info()).cpu - redisBefore.cpu
  const elapsed = (performance.now() - start) * 1000
  return {
    perSecond,
    cpu: cpu / total,
    redisCpu: redisCpu / total,
    serviceShare: cpu / elapsed,
    redisShare: redisCpu / elapsed,
    generatorShare: generatorCpu,
    rss: stopWatching(),
    total
  }
}

async function latency ({ load }: BenchEnvironment, name: ContenderName, settings: Settings, rate: number): Promise<LatencyRound> {
  const { connections, warmup, latencySeconds: seconds } = settings
  const { latencies, ownDelay } = await load.open(name, { connections, warmup, seconds, rate })
  return {
    p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99), p999: quantile(latencies, 0.999), generatorDelay: ownDelay
  }
}

function summarize (name: ContenderName, rounds: Map<ContenderName, Round[]>, latencies: LatencyRound[], rate: number): SpeedOf {
  const of = (other: ContenderName, field: keyof Round): number[] => rounds.get(other)!.map(round => round[field])
  const median = (field: keyof Round): number => quantile(of(name, field), 0.5)
  const waited = (field: keyof LatencyRound): Spread => spread(latencies.map(round => round[field]))
  const by = (other: ContenderName): Spread | undefined =>
    rounds.has(other) ? ratios(of(name, 'perSecond'), of(other, 'perSecond')) : undefined
  return {
    perSecond: spread(of(name, 'perSecond')),
    toCeiling: by('ceiling'),
    cpuToCeiling: rounds.has('ceiling') ? ratios(of('ceiling', 'cpu'), of(name, 'cpu')) : undefined,
    toOidcProvider: by('oidc-provider'),
    cpu: spread(of(name, 'cpu')),
    redisCpu: spread(of(name, 'redisCpu')),
    serviceShare: median('serviceShare'),
    redisShare: median('redisShare'),
    generatorShare: median('generatorShare'),
    rss: Math.max(...of(name, 'rss')),
    latency: { rate, p50: waited('p50'), p99: waited('p99'), p999: waited('p999'), generatorDelayP99: waited('generatorDelay').median },
    refreshes: of(name, 'total').reduce((sum, total) => sum + total, 0)
  }
}
