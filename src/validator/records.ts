import type { Cluster, Redis } from 'ioredis'
import type { RedisClient } from '#src/redis/client'
import { createTopology } from '#src/redis/topology'
import { isCluster } from './connections.ts'

/** Reads fields of a record, at the master that has it. */
export type ReadRecord = (key: string, ...fields: string[]) => Promise<Array<string | null>>

export function createReadRecord (redis: RedisClient): ReadRecord {
  return isCluster(redis) ? ofCluster(redis) : async (key, ...fields) => await redis.hmget(key, ...fields)
}

/**
 * A Cluster's masters are asked one by one. ioredis would ask any node when it misses the right one, and a replica answers
 * with what it has heard of so far; nor would it look for the new master by itself.
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

/** What a redirection asks for: ASKING, which is needed after ASK and does no harm after MOVED. */
async function ask (node: Redis, key: string, fields: string[]): Promise<Array<string | null>> {
  const results = await node.pipeline().asking().hmget(key, ...fields).exec()
  const [failure, values] = results![1] as [Error | null, Array<string | null>]
  if (failure !== null) throw failure
  return values
}
