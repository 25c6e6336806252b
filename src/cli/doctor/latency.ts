import type { Redis } from 'ioredis'
import { TIMEOUT } from '#src/sessions/runner'
import { fail, ok, warn, type Check } from './check.ts'

/** Round trips measured one after another, then all at once, as ioredis pipelines them for the service. */
const ROUND_TRIPS = 20
const AT_ONCE = 100

/** Milliseconds of each single round trip, and of `AT_ONCE` together. */
export async function measure (redis: Redis): Promise<{ single: number[], together: number }> {
  const timed = async (work: () => Promise<unknown>): Promise<number> => {
    const start = performance.now()
    await work()
    return performance.now() - start
  }
  const single: number[] = []
  for (let i = 0; i < ROUND_TRIPS; i++) single.push(await timed(async () => await redis.time()))
  const together = await timed(async () => await Promise.all(Array.from({ length: AT_ONCE }, async () => await redis.time())))
  return { single, together }
}

/** Compares the latency with the store's time-out for one call. */
export function latencyCheck ({ single, together }: Awaited<ReturnType<typeof measure>>): Check {
  const [median, worst] = [[...single].sort((a, b) => a - b)[Math.floor(single.length / 2)]!, Math.max(...single)]
  const message = `a round trip takes ${median.toFixed(2)} ms, ${worst.toFixed(2)} ms at the most of ${single.length}; ${AT_ONCE} at once ${together.toFixed(1)} ms. A call has ${TIMEOUT} ms`
  const slowest = Math.max(worst, together)
  if (slowest >= TIMEOUT) return fail('latency', message, 'look at the network, the load of Redis (SLOWLOG) and its disk')
  if (slowest >= TIMEOUT / 10) return warn('latency', message, 'look at the network and at SLOWLOG: little is left when it gets worse')
  return ok('latency', message)
}
