import { Cluster, type Redis } from 'ioredis'
import type { RedisClient } from './client.ts'

/** Call before the client connects. Resolves when commands can be sent; in a Cluster, to every reachable master. */
export async function whenReady (redis: RedisClient): Promise<void> {
  await new Promise(resolve => redis.once(redis instanceof Cluster ? 'refresh' : 'ready', resolve))
  if (!(redis instanceof Cluster)) return
  const reached = await Promise.all(redis.nodes('master').map(isReached))
  if (!reached.includes(true)) await whenReady(redis)
}

/** Whether the pending connection to a Cluster server succeeds. */
export async function isReached (node: Redis): Promise<boolean> {
  if (node.status === 'ready') return true
  return await new Promise(resolve => {
    node.once('ready', () => resolve(true))
    node.once('end', () => resolve(false))
  })
}
