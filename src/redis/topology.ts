import { setTimeout as delay } from 'node:timers/promises'
import { Command, type Cluster, type Redis } from 'ioredis'

/** Milliseconds between two refreshes of the slots that requests ask for. */
const REFRESH_PAUSE = 100

/** A Cluster's servers by address, as ioredis knows them now. */
export interface Topology {
  /** The address of the master that has the key's slot, `host:port`; `undefined` when none is known to. */
  ownerOf (key: string): string | undefined
  /** The connection to an address; `undefined` when there is none. */
  node (address: string | undefined): Redis | undefined
  /** The addresses of all that own slots. */
  masters (): Set<string>
  /** Reads the slots again, after a pause if they were just read; resolves when that is done, well or not. */
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

/** `host:port`, as redirections name a server. */
export function addressOf ({ options: { host, port } }: Redis): string {
  return `${host}:${port}`
}

/** By ioredis's own arithmetic (CRC16 of the key, or of what it has in braces). */
function slotOf (key: string): number {
  return new Command('get', [key]).getSlot()!
}
