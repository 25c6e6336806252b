import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ErrorResponse } from '#src/schemas/error'
import { OpenedSession, OpenSessionRequest } from '#src/schemas/sessions'
import { sessionTokens } from '#src/schemas/refresh'

const route: FastifyPluginAsyncTypebox = async app => {
  app.post('/', {
    schema: {
      operationId: 'openSession',
      tags: ['Sessions'],
      summary: 'Open a session',
      description: 'For the login service, once it knows the user. An older session of the same user and device is replaced; over ' +
        '`MAX_SESSIONS_PER_USER` the least recently used one ends. Sets the profile that refreshes answer with, unless it was ' +
        'changed after `authenticatedAt`: then the changed profile stays, and is in the answer.',
      body: OpenSessionRequest,
      response: {
        201: OpenedSession,
        400: ErrorResponse,
        401: ErrorResponse,
        409: { ...ErrorResponse, description: 'The user has logged out everywhere since `authenticatedAt`: log in again.' },
        500: ErrorResponse
      }
    }
  }, async (request, reply) => {
    const session = await app.sessions.open(request.body)
    return reply.code(201).send(sessionTokens(app.tokens, session))
  })
}

export default route
