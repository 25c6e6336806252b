import fastifyRedis from '@fastify/redis'
import fp from 'fastify-plugin'
import { connectRedis } from '../src/redis/connect.ts'

/**
 * `app.redis`: one connection to the Redis of `REDIS_URL`, made by us because @fastify/redis leaves a missing Redis to
 * Fastify's plugin time-out.
 */
export default fp(async app => {
  const client = await connectRedis(app.config.REDIS_URL, app.log)
  await app.register(fastifyRedis, { client })
  // Every request has been answered by now. QUIT would wait for a Redis that may be frozen.
  app.addHook('onClose', async () => { client.disconnect() })
}, { name: 'redis' })
