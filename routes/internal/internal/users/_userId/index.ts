import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { UserNotFound } from '#src/errors'
import { ErrorResponse } from '#src/schemas/error'
import { UserParams, ProfilePatch } from '#src/schemas/sessions'

const route: FastifyPluginAsyncTypebox = async app => {
  app.patch('/', {
    schema: {
      operationId: 'updateProfile',
      tags: ['Users'],
      summary: 'Change the profile that the next refresh returns',
      description: 'At least one of `email` and `role`. A log-in in progress that sends its `authenticatedAt` does not overwrite the change; ' +
        'for ten minutes this also holds when the user has no session and the answer is 404.',
      params: UserParams,
      body: ProfilePatch,
      response: { 204: Type.Null({ description: 'Changed.' }), 400: ErrorResponse, 401: ErrorResponse, 404: { ...ErrorResponse, description: 'The user has no session.' }, 500: ErrorResponse }
    }
  }, async (request, reply) => {
    if (!await app.sessions.updateProfile(Number(request.params.userId), request.body)) throw new UserNotFound()
    return reply.code(204).send(null)
  })
}

export default route
