import type { FastifyPluginAsync } from 'fastify'
import { logoutRoute } from '../../routes/clients/logout.ts'
import { refreshRoute } from '../../routes/clients/refresh.ts'
import type { Core } from '#src/core/core'
import { createErrorHandler, type Reporter } from '#src/core/error-handler'
import { acceptOnlyJson } from '#src/http/json'
import { validatorCompiler } from '#src/schemas/validation'

/**
 * Refresh and log-out in a scope of their own, with their own parser, validator and error handler. The hooks of the surrounding app
 * still run.
 */
export const clientRoutes: FastifyPluginAsync<{ core: Core, reporter: Reporter }> = async (app, { core, reporter }) => {
  app.setValidatorCompiler(validatorCompiler)
  // Never used: every answer is a text.
  app.setSerializerCompiler(() => JSON.stringify)
  app.setErrorHandler(createErrorHandler(reporter))
  acceptOnlyJson(app)
  // RFC 6749 section 5.1.
  app.addHook('onRequest', (_request, reply, done) => {
    reply.header('cache-control', 'no-store')
    done()
  })
  await app.register(refreshRoute, { prefix: '/refresh', core })
  await app.register(logoutRoute, { prefix: '/logout', core })
}
