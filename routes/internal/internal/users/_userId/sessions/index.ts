import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { EndQuery, SessionList, SessionParams, UserParams } from '#src/schemas/sessions'
import { ErrorResponse } from '#src/schemas/error'
import { toListed } from '#src/sessions/listed'
import { parseUserId } from '#src/tokens/user-id'

const Ended = Type.Null({ description: 'The sessions that the request names have ended.' })

const errors = { 400: ErrorResponse, 401: ErrorResponse, 500: ErrorResponse }

const routes: FastifyPluginAsyncTypebox = async app => {
  app.get('/', {
    config: { scope: 'read' },
    schema: {
      operationId: 'listSessions',
      tags: ['Sessions'],
      summary: 'List the sessions of a user',
      description: 'Live sessions, the last used first. The list is empty for a user without sessions.',
      params: UserParams,
      response: { 200: SessionList, ...errors }
    }
  }, async request => {
    return { sessions: (await request.sessions.list(parseUserId(request.params.userId)!)).map(toListed) }
  })

  app.delete('/:sid', {
    config: { scope: 'revoke' },
    schema: {
      operationId: 'endSession',
      tags: ['Sessions'],
      summary: 'Log out one device',
      description: 'Idempotent. After the answer, no refresh of the session succeeds. Its access tokens stay valid until their `exp` ' +
        'for services that do not look up the session.',
      params: SessionParams,
      response: { 204: Ended, ...errors }
    }
  }, async (request, reply) => {
    await request.sessions.revoke(parseUserId(request.params.userId)!, request.params.sid)
    return reply.code(204).send(null)
  })

  app.delete('/', {
    config: { scope: 'revoke' },
    schema: {
      operationId: 'endAllSessions',
      tags: ['Sessions'],
      summary: 'Log out everywhere, or everywhere else',
      description: 'Ends every session of the user, and refuses every log-in in progress that sends its `authenticatedAt`. Idempotent. ' +
        'With `except`, this session lives on; if it has ended before, every session ends.',
      params: UserParams,
      querystring: EndQuery,
      response: { 204: Ended, ...errors }
    }
  }, async (request, reply) => {
    await request.sessions.revokeAll(parseUserId(request.params.userId)!, request.query.except)
    return reply.code(204).send(null)
  })
}

export default routes
