import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Alive } from '#src/schemas/health'

/** Says that the process lives; /readyz says whether it should get traffic. */
const route: FastifyPluginAsyncTypebox = async app => {
  app.get('/', {
    schema: {
      operationId: 'checkAlive',
      tags: ['Health'],
      summary: 'Is the process alive?',
      description: 'Says nothing about Redis: a process that restarts would not bring it back.',
      response: { 200: Alive }
    }
  }, async () => ({ status: 'ok' as const }))
}

export default route
