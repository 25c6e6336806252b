import fastifyRedis from '@fastify/redis'
import fp from 'fastify-plugin'
import { connectRedis } from '../src/redis/connect.ts'

/**
 * `app.redis`: the client of the Redis of `REDIS_URL`; with a Cluster it is an ioredis `Cluster`, which @fastify/redis
 * takes but does not type. Made by us because @fastify/redis leaves a missing Redis to Fastify's plugin time-out.
 */
export default fp(async app => {
  const client = await connectRedis(app.config, app.log)
  await app.register(fastifyRedis, { client })
  // Every request has been answered by now. QUIT would wait for a Redis that may be frozen.
  app.addHook('onClose', async () => { client.disconnect() })
}, { name: 'redis' })
