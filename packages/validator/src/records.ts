import type { Cluster, Redis } from 'ioredis'
import type { RedisClient } from '../../../src/redis/client.ts'
import { SILENCE_TIMEOUT } from '../../../src/redis/options.ts'
import { clusterRoutes, sendUntilRun } from '../../../src/redis/redirects.ts'
import { createTopology } from '../../../src/redis/topology.ts'
import { isCluster } from './connection.ts'

/** Reads fields of a record from the master that holds it. */
export type ReadRecord = (key: string, ...fields: string[]) => Promise<Array<string | null>>

export function createReadRecord (redis: RedisClient): ReadRecord {
  return isCluster(redis) ? ofCluster(redis) : readFrom(redis)
}

function ofCluster (cluster: Cluster): ReadRecord {
  const routes = clusterRoutes(createTopology(cluster), SILENCE_TIMEOUT, (node, asking) => asking ? readAsking(node) : readFrom(node))
  return async (key, ...fields) => await sendUntilRun(routes, key, read => read(key, ...fields))
}

function readFrom (node: Redis): ReadRecord {
  return async (key, ...fields) => await node.hmget(key, ...fields)
}

function readAsking (node: Redis): ReadRecord {
  return async (key, ...fields) => {
    const results = await node.pipeline().asking().hmget(key, ...fields).exec()
    const [failure, values] = results![1] as [Error | null, Array<string | null>]
    if (failure !== null) throw failure
    return values
  }
}
