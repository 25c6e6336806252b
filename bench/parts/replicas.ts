import { startCluster, startSingle, type Backend } from '../harness/cluster.ts'
import { startOurs } from '../harness/contenders.ts'
import { startLoad, type Load } from '../harness/load.ts'
import { describeMachine } from '../harness/machine.ts'
import { startRedis } from '../harness/redis.ts'
import { spread, type Spread } from '../harness/statistics.ts'
import type { Report, Settings } from '../settings.ts'

export interface ReplicasResult {
  /** Refreshes a second of so many replicas, with every process on whatever core is free. */
  replicas: Array<{ redis: string, count: number, perSecond: Spread, redisCpu: Spread }>
}

const backends = { 'one Redis': startSingle, 'a Cluster of 3': startCluster }

export async function replicas (settings: Settings, report: Report) {
  const load = startLoad(settings.patient, 'any')
  try {
    const measured = []
    for (const [redis, start] of Object.entries(backends)) {
      const backend = await start()
      try {
        for (const count of settings.replicas) {
          const result = { redis, count, ...await measure(load, backend, count, `${count} on ${redis}`, settings) }
          measured.push(result)
          const { perSecond, redisCpu } = result
          report(`${count} on ${redis}: ${perSecond.median.toFixed(0)} refreshes/s, ${redisCpu.median.toFixed(1)} µs of Redis for each`)
        }
      } finally {
        await backend.stop()
      }
    }
    return { machine: describeMachine(await redisVersion()), results: { replicas: measured } satisfies ReplicasResult }
  } finally {
    await load.stop()
  }
}

async function measure (load: Load, { url, cpu }: Backend, count: number, name: string, settings: Settings) {
  const service = await startOurs(url, 'any', count)
  await load.sessions(service, await service.open(count * 1_000_000, settings.sessions), name)
  const speeds = []
  const costs = []
  for (let round = 0; round < settings.rounds; round++) {
    const before = await cpu()
    const { perSecond, total } = await load.closed(name, settings)
    speeds.push(perSecond)
    costs.push((await cpu() - before) / total)
  }
  await service.stop()
  return { perSecond: spread(speeds), redisCpu: spread(costs) }
}

async function redisVersion (): Promise<string> {
  const redis = await startRedis('any')
  const { version } = await redis.info()
  await redis.stop()
  return version
}
