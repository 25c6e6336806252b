import type { Redis } from 'ioredis'
import { bytes, count } from '#src/cli/output'
import { fail, ok, warn, type Check } from './check.ts'
import type { Facts } from './server.ts'

/** Seconds of silence after which a replica counts as behind. Replicas report every second. */
const LONG_LAG = 10

/** Bytes of the replication stream: about ten thousand refreshes. */
const LONG_BACKLOG = 5_000_000

/** A replica, as its master reports it. `lag`: seconds since its last report. `behind`: bytes that it has not confirmed. */
export interface Replica { host: string, port: number, state: string, lag: number, behind: number }

export function replicasOf ({ info }: Facts): Replica[] {
  return Object.entries(info).filter(([name]) => /^slave\d+$/.test(name)).map(([, text]) => {
    const { ip, port, state, offset, lag } = Object.fromEntries(text.split(',').map(pair => pair.split('='))) as Record<string, string>
    return { host: ip!, port: Number(port), state: state!, lag: Number(lag), behind: Number(info.master_repl_offset) - Number(offset) }
  })
}

/** `wanted`: the number of replicas that a log-in or log-out waits for. */
export function replicationChecks (facts: Facts, wanted: number, embedded = false): Check[] {
  return [...replicaChecks(replicasOf(facts), wanted, embedded), minReplicasCheck(facts)]
}

function replicaChecks (replicas: Replica[], wanted: number, embedded: boolean): Check[] {
  const online = replicas.filter(({ state }) => state === 'online').length
  if (online < wanted) {
    return [fail('replicas', `${online} online, and REDIS_WAIT_REPLICAS is ${wanted}: nobody can log in or out`, 'bring replicas back, or lower REDIS_WAIT_REPLICAS')]
  }
  if (replicas.length === 0 && embedded) return [ok('replicas', 'none, as for every embedded Redis')]
  if (replicas.length === 0) return [warn('replicas', 'none: if this server is lost, every session is lost', 'give it a replica, and Sentinels or a cluster that fail over')]
  return replicas.map(({ host, port, state, lag, behind }) => {
    const message = `${host}:${port} is ${state}, last heard ${lag} s ago, ${bytes(behind)} behind`
    return state !== 'online' || lag > LONG_LAG || behind > LONG_BACKLOG
      ? warn('replicas', message, 'a failover to it now would lose writes: look at its load, its link and its log')
      : ok('replicas', message)
  })
}

function minReplicasCheck ({ info, settings }: Facts): Check {
  // INFO reports the number of good replicas only while min-replicas-to-write is at least 1.
  const good = info.min_slaves_good_slaves
  if (good === undefined) {
    // With a single replica the setting would refuse every write once that replica is lost.
    return Number(info.connected_slaves) < 2
      ? ok('min-replicas', 'off; it needs at least two replicas')
      : warn('min-replicas', 'off: a master that is cut off goes on taking writes, and a failover loses them', 'set min-replicas-to-write 1 and min-replicas-max-lag 10')
  }
  const needed = settings?.['min-replicas-to-write']
  return Number(good) < Number(needed ?? 1)
    ? fail('min-replicas', `${needed ?? '1 or more'} needed, ${good} good: Redis refuses every write`, 'bring replicas back, or lower min-replicas-to-write')
    : ok('min-replicas', `${count(Number(good), 'good replica')}, ${needed ?? 'an unknown number'} needed`)
}

/** Opens a separate connection to a replica, with the user and the TLS settings of its master's connection. */
export function connectReplica (master: Redis, { host, port }: Replica): Redis {
  const replica = master.duplicate({
    host, port, path: undefined!, sentinels: null!, lazyConnect: true, retryStrategy: () => null, reconnectOnError: null!
  })
  return replica.on('error', () => {})
}
