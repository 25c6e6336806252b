import { spawnOurs } from '../harness/contenders.ts'
import { describeMachine } from '../harness/machine.ts'
import { startRedis } from '../harness/redis.ts'
import { spread, type Spread } from '../harness/statistics.ts'
import type { Report, Settings } from '../settings.ts'

/** Milliseconds from the start of the process to its first 200 from /readyz. */
export interface StartResult { ready: Spread }

export async function start ({ starts }: Settings, report: Report) {
  const redis = await startRedis()
  try {
    const times = []
    for (let i = 0; i < starts; i++) {
      const begin = performance.now()
      const service = spawnOurs(redis.url)
      const { internal } = JSON.parse(await service.line('is ready'))
      const { status } = await fetch(`${internal}/readyz`)
      times.push(performance.now() - begin)
      await service.stop()
      if (status !== 200) throw new Error(`readyz answered ${status} to a service that says it is ready`)
    }
    const ready = spread(times)
    report(`ready after ${ready.median.toFixed(0)} ms (${ready.min.toFixed(0)}–${ready.max.toFixed(0)})`)
    return { machine: describeMachine((await redis.info()).version), results: { ready } }
  } finally {
    await redis.stop()
  }
}
