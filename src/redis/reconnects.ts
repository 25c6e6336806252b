import { Cluster, type Redis } from 'ioredis'
import type { RedisClient } from './client.ts'
import { addressOf, createTopology } from './topology.ts'

/** Calls `onReconnect` for every reconnect; in a Cluster, for each server. Call it when the client is connected. */
export function watchReconnects (redis: RedisClient, onReconnect: () => void): void {
  if (!(redis instanceof Cluster)) {
    redis.on('ready', onReconnect)
    return
  }
  const topology = createTopology(redis)
  const lost = new Set<string>()
  redis.on('-node', (node: Redis) => {
    const address = addressOf(node)
    // A server without slots has left the Cluster: ioredis closes its connection on purpose.
    if (topology.masters().has(address)) lost.add(address)
  })
  redis.on('+node', (node: Redis) => {
    node.once('ready', () => { if (lost.delete(addressOf(node))) onReconnect() })
  })
}
