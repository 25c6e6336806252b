import { startOurs, type Service } from '../harness/contenders.ts'
import { startLoad, type Load } from '../harness/load.ts'
import { describeMachine } from '../harness/machine.ts'
import { assertSameRecord, signGeneration, writeRecords } from '../harness/records.ts'
import { startRedis, type PrivateRedis } from '../harness/redis.ts'
import { rotated } from '../harness/environment.ts'
import { quantile, ratios, spread, type Spread } from '../harness/statistics.ts'
import { cpuOf } from '../harness/usage.ts'
import type { Report, Settings } from '../settings.ts'

export interface SessionsResult {
  few: ScaleOf
  many: ScaleOf
  /** Speed with many sessions divided by speed with few, in the same round. */
  ratio: Spread
}

/** Figures of one service whose Redis holds `sessions` sessions. */
export interface ScaleOf {
  sessions: number
  perSecond: Spread
  /** Microseconds of CPU for each refresh. */
  cpu: number
  redisCpu: number
  /** Bytes of Redis memory for each session, one a user. */
  memoryPerSession: number
}

interface Group {
  name: string
  count: number
  service: Service
  redis: PrivateRedis
  memory: number
  rounds: Array<{ perSecond: number, cpu: number, redisCpu: number }>
}

/** Maximum number of tokens the generator holds. With many sessions, each refresh then hits a record that is not in the CPU caches. */
const HELD = 100_000

/** Measures two services in turn, one with few sessions and one with `count`. */
export async function sessions (settings: Settings, count: number, report: Report) {
  const load = startLoad(settings.acceptUnavailable)
  const groups: Group[] = []
  try {
    groups.push(await fill(load, 'few', settings.sessions), await fill(load, 'many', count))
    for (let round = 0; round < settings.rounds; round++) {
      for (const group of rotated(groups, round)) {
        group.rounds.push(await measure(load, group, settings))
        const { perSecond, redisCpu } = group.rounds.at(-1)!
        report(`round ${round + 1}  ${String(group.count).padStart(8)} sessions  ${perSecond.toFixed(0)} refreshes/s  ${redisCpu.toFixed(1)} µs of Redis`)
      }
    }
    const [few, many] = groups.map(summarize) as [ScaleOf, ScaleOf]
    const [fewSpeeds, manySpeeds] = groups.map(({ rounds }) => rounds.map(({ perSecond }) => perSecond)) as [number[], number[]]
    report(`${many.sessions} sessions: ${many.memoryPerSession.toFixed(0)} bytes each`)
    const machine = describeMachine((await groups[0]!.redis.info()).version)
    return { machine, results: { few, many, ratio: ratios(manySpeeds, fewSpeeds) } satisfies SessionsResult }
  } finally {
    for (const { service, redis } of groups) {
      await service.stop()
      await redis.stop()
    }
    await load.stop()
  }
}

async function fill (load: Load, name: string, count: number): Promise<Group> {
  const redis = await startRedis()
  const service = await startOurs(redis.url)
  await assertSameRecord(service, redis.client)
  const before = (await redis.info()).memory
  const samples = await writeRecords(redis.client, 1, count, 1, Math.ceil(count / HELD))
  const memory = (await redis.info()).memory - before
  // Shuffled, because users with neighbouring ids are neighbours in memory.
  await load.sessions(service, shuffled(samples).map(signGeneration), name)
  return { name, count, service, redis, memory, rounds: [] }
}

function shuffled<T> (list: T[]): T[] {
  return list.map(value => ({ value, order: Math.random() })).sort((a, b) => a.order - b.order).map(({ value }) => value)
}

async function measure (load: Load, { name, service, redis }: Group, { connections, warmup, seconds }: Settings): Promise<Group['rounds'][number]> {
  const [cpuBefore, redisBefore] = [cpuOf(service.pid), (await redis.info()).cpu]
  const { perSecond, total } = await load.closed(name, { connections, warmup, seconds })
  return {
    perSecond,
    cpu: (cpuOf(service.pid) - cpuBefore) / total,
    redisCpu: ((await redis.info()).cpu - redisBefore) / total
  }
}

function summarize ({ count, memory, rounds }: Group): ScaleOf {
  return {
    sessions: count,
    perSecond: spread(rounds.map(({ perSecond }) => perSecond)),
    cpu: quantile(rounds.map(({ cpu }) => cpu), 0.5),
    redisCpu: quantile(rounds.map(({ redisCpu }) => redisCpu), 0.5),
    memoryPerSession: memory / count
  }
}
