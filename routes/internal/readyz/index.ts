import type { FastifyPluginAsync } from 'fastify'
import { isReady } from '../../../src/health.ts'

/** Whether a load balancer should send requests here. */
const route: FastifyPluginAsync = async app => {
  app.get('/', async (_request, reply) => {
    if (await isReady(app.health)) return { status: 'ready' }
    return reply.code(503).send({ status: app.health.draining ? 'draining' : 'redis unavailable' })
  })
}

export default route
