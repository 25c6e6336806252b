import type { FastifyPluginAsync } from 'fastify'

/** The process lives; whether it should get traffic is readyz's answer. */
const route: FastifyPluginAsync = async app => {
  app.get('/', async () => ({ status: 'ok' }))
}

export default route
