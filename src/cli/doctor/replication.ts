import type { Redis } from 'ioredis'
import { bytes, count } from '#src/cli/output'
import { fail, ok, warn, type Check } from './check.ts'
import type { Facts } from './server.ts'

/** Seconds without a word after which a replica counts as behind; they report every second. */
const LONG_LAG = 10

/** Bytes of the replication stream; some ten thousand refreshes. */
const LONG_BACKLOG = 5_000_000

/** A replica as its master knows it. */
export interface Replica {
  host: string
  port: number
  state: string
  /** Seconds since it last reported. */
  lag: number
  /** Bytes that it has not yet confirmed. */
  behind: number
}

export function replicasOf ({ info }: Facts): Replica[] {
  return Object.entries(info).filter(([name]) => /^slave\d+$/.test(name)).map(([, text]) => {
    const { ip, port, state, offset, lag } = Object.fromEntries(text.split(',').map(pair => pair.split('='))) as Record<string, string>
    return { host: ip!, port: Number(port), state: state!, lag: Number(lag), behind: Number(info.master_repl_offset) - Number(offset) }
  })
}

/** `wanted` is how many replicas a log-out waits for. */
export function replicationChecks (facts: Facts, wanted: number, embedded = false): Check[] {
  return [...replicaChecks(replicasOf(facts), wanted, embedded), minReplicas(facts)]
}

function replicaChecks (replicas: Replica[], wanted: number, embedded: boolean): Check[] {
  const online = replicas.filter(({ state }) => state === 'online').length
  if (online < wanted) {
    return [fail('replicas', `${online} online, and REDIS_WAIT_REPLICAS is ${wanted}: nobody can log in or out`, 'bring replicas back, or lower REDIS_WAIT_REPLICAS')]
  }
  if (replicas.length === 0 && embedded) return [ok('replicas', 'none, as for every embedded Redis')]
  if (replicas.length === 0) return [warn('replicas', 'none: what befalls this server befalls every session', 'give it a replica, and Sentinels or a cluster that fail over')]
  return replicas.map(({ host, port, state, lag, behind }) => {
    const message = `${host}:${port} is ${state}, last heard ${lag} s ago, ${bytes(behind)} behind`
    return state !== 'online' || lag > LONG_LAG || behind > LONG_BACKLOG
      ? warn('replicas', message, 'a failover to it now would lose writes: look at its load, its link and its log')
      : ok('replicas', message)
  })
}

function minReplicas ({ info, settings }: Facts): Check {
  const good = info.min_slaves_good_slaves
  if (good === undefined) {
    // With a single replica, its loss would be the loss of all writes.
    return Number(info.connected_slaves) < 2
      ? ok('min-replicas', 'off, as it should be with less than two replicas')
      : warn('min-replicas', 'off: a master that is cut off goes on taking writes, and a failover loses them',
        'set min-replicas-to-write 1 and min-replicas-max-lag 10')
  }
  const { 'min-replicas-to-write': needed } = settings ?? {}
  // INFO has the number of good ones only while one at least is needed.
  return Number(good) < Number(needed ?? 1)
    ? fail('min-replicas', `${needed ?? '1 or more'} needed, ${good} good: Redis refuses every write`, 'bring replicas back, or lower min-replicas-to-write')
    : ok('min-replicas', `${count(Number(good), 'good replica')}, ${needed ?? 'an unknown number'} needed`)
}

/** A connection of its own to a replica, as the user and over the TLS of its master's. */
export function connectReplica (master: Redis, { host, port }: Pick<Replica, 'host' | 'port'>): Redis {
  const replica = master.duplicate({
    host, port, path: undefined!, sentinels: null!, lazyConnect: true, retryStrategy: () => null, reconnectOnError: null!
  })
  replica.on('error', () => {})
  return replica
}
