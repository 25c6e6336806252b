import type { ContenderName } from '../harness/contenders.ts'
import { withEnvironment, type BenchEnvironment, type Contender } from '../harness/environment.ts'
import { cpuOf, usageOf } from '../harness/usage.ts'
import type { Report, Settings } from '../settings.ts'

/** Measurements of Redis and the service after `rotations` rotations of the same sessions. */
export interface GrowthPoint {
  rotations: number
  memory: number
  keys: number
  perSecond: number
  /** Microseconds of the service's CPU for each refresh since the previous point. */
  cpu: number
  /** Bytes of the service's resident memory. */
  rss: number
}

export interface GrowthOf {
  sessions: number
  points: GrowthPoint[]
  /** Bytes of Redis memory for each rotation, from the first point to the last. */
  bytesPerRotation: number
}

export type GrowthResults = Partial<Record<ContenderName, GrowthOf>>

/** Contenders whose memory grows run only a fraction of the rotations: the slope is the same, and they are slower. */
const fractions: Partial<Record<ContenderName, number>> = { ours: 1, tutorial: 0.1, 'oidc-provider': 0.03, 'better-auth': 0.01 }

export async function growth (settings: Settings, report: Report) {
  return await withEnvironment(settings, settings.contenders.filter(name => name in fractions), async environment => {
    const results: GrowthResults = {}
    for (const contender of environment.contenders) {
      const points = await rotate(environment, contender, settings, report)
      const [first, last] = [points[0]!, points.at(-1)!]
      results[contender.name] = {
        sessions: settings.growthSessions,
        points,
        bytesPerRotation: (last.memory - first.memory) / (last.rotations - first.rotations)
      }
    }
    return { machine: environment.machine, results }
  })
}

async function rotate ({ load }: BenchEnvironment, contender: Contender, settings: Settings, report: Report): Promise<GrowthPoint[]> {
  const { rotations, growthSessions, growthPoints, connections } = settings
  const count = Math.ceil(rotations * fractions[contender.name]! / growthPoints)
  await load.sessions(contender, await contender.open(1, growthSessions))
  const points: GrowthPoint[] = []
  // The first stretch is the warm-up; the comparison begins at its end.
  for (let i = 0; i <= growthPoints; i++) {
    const before = cpuOf(contender.pid)
    const { perSecond, total } = await load.count(contender.name, { connections, count })
    const cpu = (cpuOf(contender.pid) - before) / total
    const { memory, keys } = await contender.redis.info()
    const point = { rotations: count * (i + 1), memory, keys, perSecond, cpu, rss: usageOf(contender.pid)?.rss ?? NaN }
    points.push(point)
    report(`${contender.name.padEnd(14)} ${String(point.rotations).padStart(8)} rotations  ${(memory / 2 ** 20).toFixed(2)} MiB  ` +
      `${keys} keys  ${perSecond.toFixed(0)} refreshes/s  ${cpu.toFixed(0)} µs CPU  ${(point.rss / 1e6).toFixed(0)} MB`)
  }
  return points
}
