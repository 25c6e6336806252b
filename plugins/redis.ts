import fastifyRedis from '@fastify/redis'
import fp from 'fastify-plugin'
import { redisOptions } from '#src/config/options'
import type { RedisClient } from '#src/redis/client'
import { connectRedis } from '#src/redis/connect'

/**
 * `app.redis`: the client for `REDIS_URL`. For a Cluster it is an ioredis `Cluster`, which @fastify/redis accepts but does not
 * type. The client is created here because @fastify/redis leaves a missing Redis to Fastify's plugin time-out.
 */
export default fp(async app => {
  const options = redisOptions(app.config)
  const client = await connectRedis(options, app.log)
  // All requests are answered by now. QUIT would wait for a Redis that may be frozen.
  app.addHook('onClose', async () => { client.disconnect() })
  await app.register(fastifyRedis, { client })
  const { REDIS_WAIT_REPLICAS: replicas } = app.config
  const waitForReplicas = replicas > 0
    ? { redis: await connectRedis(options, app.log.child({ connection: 'replicated' })), replicas }
    : undefined
  app.decorate('waitForReplicas', waitForReplicas)
  app.addHook('onClose', async () => { waitForReplicas?.redis.disconnect() })
}, { name: 'redis' })

declare module 'fastify' {
  interface FastifyInstance {
    /** Set by `REDIS_WAIT_REPLICAS`: a second client for commands that wait for replicas, because they block their connection. */
    waitForReplicas: { redis: RedisClient, replicas: number } | undefined
  }
}
