import { integer, markdownTable } from './format.ts'
import type { Results } from './read.ts'

/** Seconds between two refreshes of a session: the default life of an access token. */
const PERIOD = 900

/** Cores are planned to be half busy, so that the other half can fail, and so that requests hardly wait for each other. */
const BUSY = 0.5

/** However few are needed: one may be restarted while another fails. */
const LEAST_REPLICAS = 3

/** GiB of sessions on one Redis server: a restart loads it within minutes, and a copy-on-write fork finds as much again. */
const GIB_PER_SHARD = 16

/** Servers a shard: the master and two replicas. */
const SERVERS = 3

/** List prices of a month, in dollars, as large clouds ask them for machines on demand: orders of magnitude. */
const PRICE = { core: 30, gib: 4 }

/** What one part costs, measured. */
export interface Costs {
  /** Microseconds of CPU of a refresh. */
  service: number
  redis: number
  /** Bytes of Redis memory. */
  session: number
}

export interface Plan {
  refreshesPerSecond: number
  /** Of the service, a core each. */
  replicas: number
  shards: number
  /** GiB of sessions, in all masters together. */
  gib: number
  /** Dollars a month. */
  money: number
}

/** What so many sessions need that refresh every 15 minutes, evenly spread, each of a user of its own. */
export function plan (sessions: number, { service, redis, session }: Costs): Plan {
  const refreshesPerSecond = sessions / PERIOD
  const cores = (cpu: number): number => Math.ceil(refreshesPerSecond * cpu / 1e6 / BUSY)
  const replicas = Math.max(LEAST_REPLICAS, cores(service))
  const gib = sessions * session / 2 ** 30
  const shards = Math.max(cores(redis), Math.ceil(gib / GIB_PER_SHARD))
  // A server of Redis has a core for its commands and one for files and forks, and memory for those.
  const money = replicas * (PRICE.core + PRICE.gib) + SERVERS * (shards * 2 * PRICE.core + 2 * gib * PRICE.gib)
  return { refreshesPerSecond, replicas, shards, gib, money }
}

/** On paper, from what was measured of one part each. */
export function modelTable ({ speed, 'five-million': most, sessions }: Results): string | undefined {
  const ours = speed?.results.ours
  const memory = (most ?? sessions)?.results.many.memoryPerSession
  if (ours === undefined || memory === undefined) return undefined
  const costs = { service: ours.cpu.median, redis: ours.redisCpu.median, session: memory }
  const rows = [1, 100, 1000].map(millions => {
    const { refreshesPerSecond, replicas, shards, gib, money } = plan(millions * 1e6, costs)
    return [`${integer(millions)} million`, integer(refreshesPerSecond), integer(replicas), `${integer(shards)} × ${SERVERS}`,
      `${gib.toFixed(1)} GiB`, `$${integer(money)}`]
  })
  const assumed = `On paper, from ${costs.service.toFixed(0)} µs and ${costs.redis.toFixed(0)} µs of CPU and ${integer(costs.session)} bytes a session: ` +
    `a refresh every ${PERIOD / 60} minutes, cores half busy, at least ${LEAST_REPLICAS} replicas, at most ${GIB_PER_SHARD} GiB of sessions on a Redis server, ` +
    `$${PRICE.core} a core and $${PRICE.gib} a GiB a month.`
  return `${markdownTable(['sessions', 'refreshes/s', 'replicas, a core each', 'Redis servers', 'sessions\' memory', 'a month'], rows)}\n\n${assumed}`
}
