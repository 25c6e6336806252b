import { rm } from 'node:fs/promises'
import { startCluster } from '../test/support/redis/cluster.ts'
import type { Deployment } from '../test/support/redis/deployment.ts'
import { startSentinelGroup } from '../test/support/redis/sentinel-group.ts'
import { masterFrozen, masterKilled, slotsMoved, writesLost } from './failover/faults.ts'
import { underLoad, type Figures } from './failover/load.ts'
import { createRequests } from './failover/requests.ts'
import { startOurs } from './harness/contenders.ts'
import { temporaryFolder } from './harness/processes.ts'

/**
 * `npm run bench:failover`: measures the cost of a failover. Uses real Sentinel groups and Clusters, three replicas of the
 * service, sixty clients that refresh all the time, log-ins and log-outs. Exits with 1 when a session is lost, or when an
 * answered log-in or log-out is lost although `REDIS_WAIT_REPLICAS` covers all replicas.
 */

/** Milliseconds of silence after which a server is failed over. */
const FAILOVER_AFTER = 1000
const REPLICAS = 3
const ROUNDS = Number(process.argv[2] ?? 2)

/** One round of one fault. */
type Round = Figures & { recovered: number }

interface Scenario {
  name: string
  waitReplicas: number
  /** Answered log-ins and log-outs may be lost, because the service waits for too few replicas. */
  mayLose?: boolean
  run (folder: string, waitReplicas: number): Promise<Round>
}

function onSentinel (fault: typeof masterKilled): Scenario['run'] {
  return async (folder, waitReplicas) => {
    const redis = await startSentinelGroup(folder, { failoverAfter: FAILOVER_AFTER })
    await redis.watched()
    return await measured(redis, waitReplicas, async () => await fault(redis))
  }
}

function onCluster (fault: typeof slotsMoved): Scenario['run'] {
  return async (folder, waitReplicas) => {
    const redis = await startCluster(folder, { failoverAfter: FAILOVER_AFTER })
    return await measured(redis, waitReplicas, async () => await fault(redis))
  }
}

async function measured (redis: Deployment, waitReplicas: number, fault: () => Promise<void>): Promise<Round> {
  let recovered = 0
  const replicas = await Promise.all(Array.from({ length: REPLICAS }, async () => await startOurs(redis.url, {
    core: undefined,
    env: { ...redis.env, REDIS_WAIT_REPLICAS: String(waitReplicas) },
    onLine: line => { if (line.includes('"outcome":"recovered"')) recovered++ }
  })))
  try {
    const figures = await underLoad(createRequests(replicas), fault)
    return { ...figures, recovered }
  } finally {
    await Promise.all(replicas.map(async replica => await replica.stop()))
    await redis.stop()
  }
}

// A Sentinel group has two replicas and a Cluster shard has one: `waitReplicas` of 2 or 1 covers all of them.
const scenarios: Scenario[] = [
  { name: 'Sentinel: master killed', waitReplicas: 2, run: onSentinel(masterKilled) },
  { name: 'Sentinel: master frozen for a moment', waitReplicas: 2, run: onSentinel(masterFrozen) },
  { name: 'Sentinel: master frozen for a moment', waitReplicas: 1, mayLose: true, run: onSentinel(masterFrozen) },
  { name: 'Sentinel: master killed, writes lost', waitReplicas: 2, run: onSentinel(writesLost) },
  { name: 'Sentinel: master killed, writes lost', waitReplicas: 0, mayLose: true, run: onSentinel(writesLost) },
  { name: 'Cluster: master killed', waitReplicas: 1, run: onCluster(masterKilled) },
  { name: 'Cluster: ten slots moved', waitReplicas: 1, run: onCluster(slotsMoved) }
]

const row = (cells: Array<string | number>): string => `| ${cells.join(' | ')} |`
console.log(`A server counts as gone after ${FAILOVER_AFTER / 1000} s; ${ROUNDS} rounds each, summed; the outage is the longest.\n`)
console.log(row(['fault', 'WAIT', 'refreshes', '500', 'outage', 'lost', 'recovered', 'log-ins lost', 'log-outs undone']))
console.log(row(Array(9).fill('---')))

let broken = false
for (const { name, waitReplicas, mayLose = false, run } of scenarios) {
  const rounds: Round[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const folder = temporaryFolder()
    rounds.push(await run(folder, waitReplicas))
    await rm(folder, { recursive: true, force: true })
  }
  const sum = (key: keyof Round): number => rounds.reduce((total, figures) => total + figures[key], 0)
  console.log(row([
    name, waitReplicas, sum('refreshes'), sum('failed'), `${Math.max(...rounds.map(({ outage }) => outage)).toFixed(1)} s`, sum('lost'),
    sum('recovered'), `${sum('openedLost')} of ${sum('opened')}`, `${sum('revived')} of ${sum('loggedOut')}`
  ]))
  broken ||= sum('lost') > 0 || (!mayLose && sum('openedLost') + sum('revived') > 0)
}
process.exit(broken ? 1 : 0)
