import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { isReady } from '#src/health'
import { NotReady, Ready } from '#src/schemas/health'

/** Whether a load balancer should send requests here. */
const route: FastifyPluginAsyncTypebox = async app => {
  app.get('/', {
    schema: {
      operationId: 'checkReady',
      tags: ['Health'],
      summary: 'Check that the process can serve requests',
      description: 'For load balancers and rolling restarts.',
      response: { 200: Ready, 503: NotReady }
    }
  }, async (_request, reply) => {
    if (await isReady(app.health)) return { status: 'ready' as const }
    return reply.code(503).send({ status: app.health.draining ? 'draining' : 'redis unavailable' })
  })
}

export default route
