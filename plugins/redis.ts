import fastifyRedis from '@fastify/redis'
import fp from 'fastify-plugin'
import type { RedisClient } from '#src/redis/client'
import { connectRedis } from '#src/redis/connect'

/**
 * `app.redis`: the client of the Redis of `REDIS_URL`; with a Cluster it is an ioredis `Cluster`, which @fastify/redis
 * takes but does not type. Made by us because @fastify/redis leaves a missing Redis to Fastify's plugin time-out.
 */
export default fp(async app => {
  const client = await connectRedis(app.config, app.log)
  // Every request has been answered by then. QUIT would wait for a Redis that may be frozen.
  app.addHook('onClose', async () => { client.disconnect() })
  await app.register(fastifyRedis, { client })
  const { REDIS_WAIT_REPLICAS: replicas } = app.config
  const replicated = replicas > 0
    ? { redis: await connectRedis(app.config, app.log.child({ connection: 'replicated' })), replicas }
    : undefined
  app.decorate('replicated', replicated)
  app.addHook('onClose', async () => { replicated?.redis.disconnect() })
}, { name: 'redis' })

declare module 'fastify' {
  interface FastifyInstance {
    /** With `REDIS_WAIT_REPLICAS`: another client of the same Redis, for commands that wait for replicas and hold theirs up. */
    replicated: { redis: RedisClient, replicas: number } | undefined
  }
}
