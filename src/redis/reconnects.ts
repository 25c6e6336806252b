import { Cluster, type Redis } from 'ioredis'
import type { RedisClient } from './client.ts'
import { addressOf, createTopology } from './topology.ts'

/** Calls back for every connection that is made after one was lost; in a Cluster, for each server. The client is connected already. */
export function watchReconnects (redis: RedisClient, onReconnect: () => void): void {
  if (!(redis instanceof Cluster)) {
    redis.on('ready', onReconnect)
    return
  }
  const topology = createTopology(redis)
  const lost = new Set<string>()
  redis.on('-node', (node: Redis) => {
    const address = addressOf(node)
    // A server without slots has left the Cluster, and its connection is closed on purpose.
    if (topology.masters().has(address)) lost.add(address)
  })
  redis.on('+node', (node: Redis) => {
    node.once('ready', () => { if (lost.delete(addressOf(node))) onReconnect() })
  })
}
