import { setTimeout as delay } from 'node:timers/promises'
import { Command, type Cluster, type Redis } from 'ioredis'
import { isCluster, type RedisClient } from './client.ts'

/** Minimum milliseconds between two slot refreshes that requests trigger. */
const REFRESH_PAUSE = 100

/** A Cluster's servers by address, as ioredis knows them now. */
export interface Topology {
  /** The address of the master that owns the key's slot; `undefined` when no owner is known. */
  ownerOf (key: string): string | undefined
  /** The connection to an address; `undefined` when there is none. */
  node (address: string | undefined): Redis | undefined
  /** The addresses of all servers that own slots. */
  masters (): Set<string>
  /** Reads the slots again, after a pause if they were just read. Resolves when the read has succeeded or failed. */
  refresh (): Promise<void>
  /** Removes the listeners from the Cluster. */
  release (): void
}

export function createTopology (cluster: Cluster): Topology {
  const nodes = new Map<string, Redis>()
  const add = (node: Redis): void => { nodes.set(addressOf(node), node) }
  cluster.nodes().forEach(add)
  const remove = (node: Redis): void => { if (nodes.get(addressOf(node)) === node) nodes.delete(addressOf(node)) }
  cluster.on('+node', add).on('-node', remove)

  let pause: Promise<unknown> = Promise.resolve()
  let refreshing: Promise<void> | undefined
  const readSlots = async (): Promise<void> => {
    await pause
    await new Promise<void>(resolve => cluster.refreshSlotsCache(() => resolve()))
    pause = delay(REFRESH_PAUSE, undefined, { ref: false })
    refreshing = undefined
  }
  return {
    ownerOf: key => cluster.slots[slotOf(key)]?.[0],
    node: address => nodes.get(address!),
    masters: () => slotOwners(cluster),
    refresh: async () => await (refreshing ??= readSlots()),
    release: () => { cluster.off('+node', add).off('-node', remove) }
  }
}

/** The servers that hold records, each once: the single server, or every Cluster master that owns slots. */
export interface Masters {
  reached: Redis[]
  /** Addresses of the masters that can't be reached; their records are missing. */
  away: string[]
}

export function mastersOf (redis: RedisClient): Masters {
  if (!isCluster(redis)) return { reached: [redis], away: [] }
  // ioredis drops an unreachable server from its nodes, but the slot table still lists it as an owner.
  const owners = slotOwners(redis)
  const reached = redis.nodes('master').filter(node => node.status === 'ready' && owners.delete(addressOf(node)))
  return { reached, away: [...owners] }
}

function slotOwners (cluster: Cluster): Set<string> {
  const owners = new Set<string>()
  let last: string | undefined
  // A server owns long ranges of the 16,384 slots.
  cluster.slots.forEach(([address]) => { if (address !== last) owners.add((last = address)!) })
  return owners
}

/** `host:port`, the form in which MOVED and ASK name a server, or the path of a socket. */
export function addressOf ({ options: { path, host, port } }: Redis): string {
  return path ?? `${host}:${port}`
}

/** The key's slot, computed by ioredis (CRC16 of the key, or of its part in braces). */
function slotOf (key: string): number {
  return new Command('get', [key]).getSlot()!
}
