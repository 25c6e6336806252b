import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { UserNotFound } from '#src/errors'
import { ErrorResponse } from '#src/schemas/error'
import { UserParams, ProfilePatch } from '#src/schemas/sessions'
import { EraseQuery, toUserData, UserData } from '#src/schemas/users'
import { parseUserId } from '#src/tokens/user-id'

const errors = { 400: ErrorResponse, 401: ErrorResponse, 500: ErrorResponse }

const route: FastifyPluginAsyncTypebox = async app => {
  app.get('/', {
    config: { scope: 'read' },
    schema: {
      operationId: 'readUser',
      tags: ['Users'],
      summary: 'Read everything stored about a user',
      description: 'For requests of access (GDPR, article 15). `record` has every stored field; the other fields explain it.',
      params: UserParams,
      response: { 200: UserData, ...errors, 404: { ...ErrorResponse, description: 'Nothing is stored about the user.' } }
    }
  }, async request => {
    const userId = parseUserId(request.params.userId)!
    const stored = await request.sessions.read(userId)
    if (stored === undefined) throw new UserNotFound()
    return toUserData(userId, stored)
  })

  app.delete('/', {
    config: { scope: 'revoke' },
    schema: {
      operationId: 'eraseUser',
      tags: ['Users'],
      summary: 'Erase everything stored about a user',
      description: 'For requests of erasure (GDPR, article 17). Ends every session of the user. Idempotent. Nothing is remembered, so a log-in ' +
        'in progress is not refused: remove the account first.',
      params: UserParams,
      querystring: EraseQuery,
      response: { 204: Type.Null({ description: 'Nothing is stored about the user.' }), ...errors }
    }
  }, async (request, reply) => {
    await request.sessions.erase(parseUserId(request.params.userId)!)
    return reply.code(204).send(null)
  })

  app.patch('/', {
    config: { scope: 'profile' },
    schema: {
      operationId: 'updateProfile',
      tags: ['Users'],
      summary: 'Change the profile that the next refresh returns',
      description: 'At least one of `email`, `role` and `userClaims`, which replaces all claims of the user. A log-in in progress that sends its `authenticatedAt` does not overwrite the change; ' +
        'for ten minutes this also holds when the user has no session and the answer is 404.',
      params: UserParams,
      body: ProfilePatch,
      response: { 204: Type.Null({ description: 'Changed.' }), 400: ErrorResponse, 401: ErrorResponse, 404: { ...ErrorResponse, description: 'The user has no session.' }, 500: ErrorResponse }
    }
  }, async (request, reply) => {
    if (!await request.sessions.updateProfile(parseUserId(request.params.userId)!, request.body)) throw new UserNotFound()
    return reply.code(204).send(null)
  })
}

export default route
