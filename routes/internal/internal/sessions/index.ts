import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ErrorResponse } from '../../../../src/schemas/error.ts'
import { SessionTokens } from '../../../../src/schemas/refresh.ts'
import { OpenSessionRequest } from '../../../../src/schemas/sessions.ts'
import { sessionTokens } from '../../../../src/session-tokens.ts'

const route: FastifyPluginAsyncTypebox = async app => {
  app.post('/', {
    schema: {
      body: OpenSessionRequest,
      response: { 201: SessionTokens, 400: ErrorResponse, 401: ErrorResponse, 500: ErrorResponse }
    }
  }, async (request, reply) => {
    const session = await app.sessions.open(request.body)
    return reply.code(201).send(sessionTokens(app.tokens, session))
  })
}

export default route
