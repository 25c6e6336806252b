import { withTimeout } from '#src/timeout'
import { checkRedis, type Finding, type Needs } from './checks.ts'
import { isCluster, isReached, type RedisClient } from './client.ts'
import { addressOf } from './topology.ts'

/** Milliseconds that a given client has to connect. Fastify ends the start of a plugin after ten seconds. */
const START_TIMEOUT = 8000

/**
 * Waits until the given client is connected, and checks its servers as `connectRedis` does.
 * @throws Error when it does not connect in time, and Redis's error when the check is forbidden.
 */
export async function checkGiven (redis: RedisClient, needs: Needs): Promise<Finding[]> {
  const place = isCluster(redis) ? 'the Cluster of redis' : `${addressOf(redis)} of redis`
  return await withTimeout(connected(redis).then(async () => await checkRedis(redis, needs, place)), START_TIMEOUT, () => {
    throw new Error(`redis must connect within ${START_TIMEOUT / 1000} seconds`)
  })
}

/** Connects a lazy client, and waits for a client that is connecting. */
async function connected (redis: RedisClient): Promise<void> {
  // The client reports its errors itself, and connects again.
  if (redis.status === 'wait') redis.connect().catch(() => {})
  if (redis.status === 'end') throw new Error('redis must not be closed')
  if (redis.status !== 'ready') await new Promise(resolve => redis.once('ready', resolve))
  if (!isCluster(redis)) return
  // ioredis connects to a server when it sends the first command.
  await Promise.all(redis.nodes('master').map(async node => {
    if (node.status === 'wait') node.connect().catch(() => {})
    return await isReached(node)
  }))
}
