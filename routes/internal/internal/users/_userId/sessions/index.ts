import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { toListed, SessionList, SessionParams, UserParams } from '#src/schemas/sessions'
import { ErrorResponse } from '#src/schemas/error'

const Ended = Type.Null({ description: 'No such session lives.' })

const errors = { 400: ErrorResponse, 401: ErrorResponse, 500: ErrorResponse }

const routes: FastifyPluginAsyncTypebox = async app => {
  app.get('/', {
    schema: {
      operationId: 'listSessions',
      tags: ['Sessions'],
      summary: 'List the sessions of a user',
      description: 'The live ones, the last used first. A user without any has an empty list.',
      params: UserParams,
      response: { 200: SessionList, ...errors }
    }
  }, async request => {
    return { sessions: (await app.sessions.list(Number(request.params.userId))).map(toListed) }
  })

  app.delete('/:sid', {
    schema: {
      operationId: 'endSession',
      tags: ['Sessions'],
      summary: 'Log out one device',
      description: 'Idempotent. Once it has answered, no refresh of the session succeeds; its access tokens live on to their `exp` ' +
        'wherever nobody looks the session up.',
      params: SessionParams,
      response: { 204: Ended, ...errors }
    }
  }, async (request, reply) => {
    await app.sessions.revoke(Number(request.params.userId), request.params.sid)
    return reply.code(204).send(null)
  })

  app.delete('/', {
    schema: {
      operationId: 'endAllSessions',
      tags: ['Sessions'],
      summary: 'Log out everywhere',
      description: 'Ends every session of the user, and every log-in under way that gives its `authenticatedAt`. Idempotent.',
      params: UserParams,
      response: { 204: Ended, ...errors }
    }
  }, async (request, reply) => {
    await app.sessions.revokeAll(Number(request.params.userId))
    return reply.code(204).send(null)
  })
}

export default routes
