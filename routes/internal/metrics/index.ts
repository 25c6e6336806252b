import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { MetricsText } from '#src/schemas/health'

/** Metrics for Prometheus: both listeners of this process only. */
const route: FastifyPluginAsyncTypebox = async app => {
  const { registry } = app.metrics

  app.get('/', {
    schema: {
      operationId: 'getMetrics',
      tags: ['Health'],
      summary: 'Read the metrics of the process',
      description: 'For Prometheus. No metric identifies a user, session or client.',
      produces: ['text/plain'],
      response: { 200: MetricsText }
    }
  }, async (_request, reply) => {
    reply.type(registry.contentType)
    return await registry.metrics()
  })
}

export default route
