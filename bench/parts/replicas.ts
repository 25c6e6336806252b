import { startOurs } from '../harness/contenders.ts'
import { startLoad } from '../harness/load.ts'
import { describeMachine } from '../harness/machine.ts'
import { startRedis } from '../harness/redis.ts'
import { spread, type Spread } from '../harness/statistics.ts'
import type { Report, Settings } from '../settings.ts'

export interface ReplicasResult {
  /** Refreshes a second of so many replicas on one Redis, with every process on whatever core is free. */
  replicas: Array<{ count: number, perSecond: Spread, redisCpu: Spread }>
}

export async function replicas (settings: Settings, report: Report) {
  const redis = await startRedis('any')
  const load = startLoad(settings.patient, 'any')
  try {
    const measured = []
    for (const count of settings.replicas) {
      const service = await startOurs(redis.url, 'any', count)
      const name = `${count} replicas`
      await load.sessions(service, await service.open(count * 1_000_000, settings.sessions), name)
      const speeds = []
      const costs = []
      for (let round = 0; round < settings.rounds; round++) {
        const before = (await redis.info()).cpu
        const { perSecond, total } = await load.closed(name, settings)
        speeds.push(perSecond)
        costs.push(((await redis.info()).cpu - before) / total)
      }
      await service.stop()
      const result = { count, perSecond: spread(speeds), redisCpu: spread(costs) }
      measured.push(result)
      report(`${count} replicas: ${result.perSecond.median.toFixed(0)} refreshes/s, ${result.redisCpu.median.toFixed(1)} µs of Redis for each`)
    }
    return { machine: describeMachine((await redis.info()).version), results: { replicas: measured } satisfies ReplicasResult }
  } finally {
    await load.stop()
    await redis.stop()
  }
}
