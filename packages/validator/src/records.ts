import type { Cluster, Redis } from 'ioredis'
import type { RedisClient } from '../../../src/redis/client.ts'
import { createTopology } from '../../../src/redis/topology.ts'
import { isCluster } from './connections.ts'

/** Reads fields of a record from the master that holds it. */
export type ReadRecord = (key: string, ...fields: string[]) => Promise<Array<string | null>>

export function createReadRecord (redis: RedisClient): ReadRecord {
  return isCluster(redis) ? ofCluster(redis) : async (key, ...fields) => await redis.hmget(key, ...fields)
}

/**
 * Sends each command to the slot's master directly. Without a connection to that master, ioredis would ask any node, and a
 * replica may answer with outdated data. ioredis would not look for the new master by itself either.
 */
function ofCluster (cluster: Cluster): ReadRecord {
  const topology = createTopology(cluster)

  async function nodeAt (address: () => string | undefined): Promise<Redis> {
    if (topology.node(address()) === undefined) await topology.refresh()
    const node = topology.node(address())
    if (node === undefined) throw new Error('there is no connection to the master of the key\'s slot')
    return node
  }

  return async (key, ...fields) => {
    const node = await nodeAt(() => topology.ownerOf(key))
    try {
      return await node.hmget(key, ...fields)
    } catch (err) {
      const [word, , address] = (err as Error).message.split(' ')
      if (word !== 'MOVED' && word !== 'ASK') throw err
      if (word === 'MOVED') topology.refresh()
      return await ask(await nodeAt(() => address), key, fields)
    }
  }
}

/** Follows a redirect, with ASKING, which ASK requires and which does no harm after MOVED. */
async function ask (node: Redis, key: string, fields: string[]): Promise<Array<string | null>> {
  const results = await node.pipeline().asking().hmget(key, ...fields).exec()
  const [failure, values] = results![1] as [Error | null, Array<string | null>]
  if (failure !== null) throw failure
  return values
}
