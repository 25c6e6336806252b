import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Alive } from '#src/schemas/health'

/** Says that the process lives; /readyz says whether it should get traffic. */
const route: FastifyPluginAsyncTypebox = async app => {
  app.get('/', {
    schema: {
      operationId: 'checkAlive',
      tags: ['Health'],
      summary: 'Check that the process is alive',
      description: 'Does not check Redis: restarting the process would not repair Redis.',
      response: { 200: Alive }
    }
  }, async () => ({ status: 'ok' as const }))
}

export default route
