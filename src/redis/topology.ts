import { setTimeout as delay } from 'node:timers/promises'
import { Command, type Cluster, type Redis } from 'ioredis'

/** Minimum milliseconds between two slot refreshes that requests trigger. */
const REFRESH_PAUSE = 100

/** A Cluster's servers by address, as ioredis knows them now. */
export interface Topology {
  /** The address (`host:port`) of the master that owns the key's slot; `undefined` when no owner is known. */
  ownerOf (key: string): string | undefined
  /** The connection to an address; `undefined` when there is none. */
  node (address: string | undefined): Redis | undefined
  /** The addresses of all servers that own slots. */
  masters (): Set<string>
  /** Reads the slots again, after a pause if they were just read. Resolves when the read has succeeded or failed. */
  refresh (): Promise<void>
}

export function createTopology (cluster: Cluster): Topology {
  const nodes = new Map<string, Redis>()
  const add = (node: Redis): void => { nodes.set(addressOf(node), node) }
  cluster.nodes().forEach(add)
  cluster.on('+node', add)
  cluster.on('-node', (node: Redis) => { if (nodes.get(addressOf(node)) === node) nodes.delete(addressOf(node)) })

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
    masters: () => new Set(cluster.slots.map(([address]) => address!)),
    refresh: async () => await (refreshing ??= readSlots())
  }
}

/** `host:port`, the form in which MOVED and ASK name a server. */
export function addressOf ({ options: { host, port } }: Redis): string {
  return `${host}:${port}`
}

/** The key's slot, computed by ioredis (CRC16 of the key, or of its part in braces). */
function slotOf (key: string): number {
  return new Command('get', [key]).getSlot()!
}
