import type { Redis } from 'ioredis'
import { addressOf } from '#src/redis/topology'
import { TIMEOUT } from '#src/sessions/runner'
import { fail, ok, warn, type Check } from './check.ts'

/**
 * Differences between clocks, seconds. Up to 1 s, times in whole seconds hide them; above 30 s, a failover may double or cut off
 * the usual retry window.
 */
const NOTABLE = 1
const WRONG = 30

/** `ahead`: seconds by which the server's clock is ahead of this machine's; `undefined` when the server can't be reached. */
export interface Clock { server: string, ahead: number | undefined }

/** Reads the server's time, accurate to half a round trip. */
export async function readClock (redis: Redis): Promise<Clock> {
  const sent = Date.now()
  const ahead = await redis.time().then(
    ([seconds, microseconds]) => Number(seconds) + Number(microseconds) / 1e6 - (sent + Date.now()) / 2000,
    () => undefined
  )
  return { server: addressOf(redis), ahead }
}

/**
 * Sessions expire by the master's clock, so a failover switches them to a replica's clock. A verifier of access tokens uses
 * the clock of its own machine.
 */
export function clockChecks (clocks: Clock[]): Check[] {
  const known = clocks.flatMap(({ ahead }) => ahead ?? [])
  const here = Math.max(0, ...known.map(Math.abs))
  const spread = Math.max(...known) - Math.min(...known)
  return [
    differenceCheck(here, 'between this machine and Redis', 'if the clock of Redis is wrong, sessions end too early or too late, and access tokens look older or newer than they are'),
    ...(known.length > 1 ? [differenceCheck(spread, 'among the Redis servers', 'a failover makes sessions end early or late')] : []),
    ...clocks.filter(({ ahead }) => ahead === undefined)
      .map(({ server }) => warn('clock', `${server} can't be reached from here`, 'run doctor on a machine that reaches it, to compare its clock'))
  ]
}

function differenceCheck (seconds: number, where: string, effect: string): Check {
  const message = `${seconds.toFixed(3)} s ${where}`
  if (seconds <= NOTABLE) return ok('clock', message)
  return (seconds > WRONG ? fail : warn)('clock', `${message}: ${effect}`, 'run NTP on all machines')
}

/** Round trips measured one after another, then all at once, as ioredis pipelines them for the service. */
const ROUND_TRIPS = 20
const AT_ONCE = 100

/** Milliseconds of each single round trip, and of `AT_ONCE` together. */
export interface Latency { single: number[], together: number }

export async function measureLatency (redis: Redis): Promise<Latency> {
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
export function latencyCheck ({ single, together }: Latency): Check {
  const [median, worst] = [[...single].sort((a, b) => a - b)[Math.floor(single.length / 2)]!, Math.max(...single)]
  const message = `a round trip takes ${median.toFixed(2)} ms, the slowest of ${single.length} ${worst.toFixed(2)} ms; ${AT_ONCE} at once take ${together.toFixed(1)} ms; a call times out after ${TIMEOUT} ms`
  const slowest = Math.max(worst, together)
  if (slowest >= TIMEOUT) return fail('latency', message, 'look at the network, the load of Redis (SLOWLOG) and its disk')
  if (slowest >= TIMEOUT / 10) return warn('latency', message, 'look at the network and at SLOWLOG before it gets worse')
  return ok('latency', message)
}
