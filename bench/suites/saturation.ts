import { nodeArguments } from '../../test/support/processes.ts'
import type { RotatorCommand } from '../load/rotator.ts'
import { describeMachine } from '../harness/machine.ts'
import { ask, spawnNode } from '../harness/processes.ts'
import { prefix, writeRecords } from '../harness/records.ts'
import { startRedis } from '../harness/redis.ts'
import { spread, type Spread } from '../harness/statistics.ts'
import type { Report, Settings } from '../settings.ts'

/** The rate of refreshes that saturates one Redis server: it decides them on one thread. */
export interface SaturationResult {
  processes: number
  perSecond: Spread
  /** Microseconds of Redis's CPU for each refresh. */
  redisCpu: Spread
  /** Redis's share of its core. Below 1: the processes were the bottleneck. */
  redisShare: Spread
  /** Refreshes per second that fill Redis's core. */
  atFullCore: Spread
}

const PROCESSES = 2

/** Refreshes in a call: the service's average with 64 connections at full load. */
const BATCH = 20

/** Calls that each process has under way. */
const CALLS = 16

/** Runs the real script on real records from several processes on core 0; Redis has core 1 to itself. */
export async function saturation (settings: Settings, report: Report) {
  const { rounds, seconds, sessions } = settings
  const redis = await startRedis()
  try {
    const measured: Array<{ perSecond: number, redisCpu: number, redisShare: number }> = []
    for (let round = 0; round < rounds; round++) {
      const { cpu: before } = await redis.info()
      const totals = await Promise.all(Array.from({ length: PROCESSES }, async (_, i) => {
        const process = spawnNode(nodeArguments('bench/load/rotator.ts'), { core: 0, ipc: true })
        const from = 1 + (round * PROCESSES + i) * sessions
        const command: RotatorCommand = {
          redisUrl: redis.url, prefix, sessions: await writeRecords(redis.client, from, sessions, 1, 1), batch: BATCH, calls: CALLS, seconds
        }
        const { total } = await ask<{ total: number }>(process, command)
        await process.stop()
        return total
      }))
      const total = totals.reduce((sum, one) => sum + one, 0)
      const cpu = (await redis.info()).cpu - before
      measured.push({ perSecond: total / seconds, redisCpu: cpu / total, redisShare: cpu / (seconds * 1e6) })
      report(`${(total / seconds).toFixed(0)} refreshes/s  ${(cpu / total).toFixed(1)} µs of Redis  ${(cpu / seconds / 1e4).toFixed(0)} % of its core`)
    }
    const of = (field: keyof typeof measured[number]): Spread => spread(measured.map(round => round[field]))
    const results: SaturationResult = {
      processes: PROCESSES,
      perSecond: of('perSecond'),
      redisCpu: of('redisCpu'),
      redisShare: of('redisShare'),
      atFullCore: spread(measured.map(({ perSecond, redisShare }) => perSecond / redisShare))
    }
    return { machine: describeMachine((await redis.info()).version), results }
  } finally {
    await redis.stop()
  }
}
