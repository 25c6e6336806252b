import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { Core } from '#src/core/core'
import { BODY_LIMIT } from '#src/http/json'
import { ErrorResponse, TooMany, Unavailable } from '#src/schemas/error'
import { LogoutRequest } from '#src/schemas/refresh'

const Ended = Type.Null({ description: 'The session has ended, now or before.' })

const Refused = {
  ...ErrorResponse,
  description: 'Every client error gets this answer: a body that is not as documented, and a token that is forged or of another device. ' +
    'No session has ended.'
}

export const logoutRoute: FastifyPluginAsyncTypebox<{ core: Core }> = async (app, { core }) => {
  app.post('/', {
    bodyLimit: BODY_LIMIT,
    config: { counts: 'logouts' },
    schema: {
      operationId: 'logOut',
      tags: ['Refresh'],
      summary: 'Log out: end the session of a refresh token',
      description: 'Idempotent. After the 204, no refresh of the session succeeds. Any refresh token of the session will do, also a used or ' +
        'expired one. Unknown fields are ignored.',
      body: LogoutRequest,
      response: { 204: Ended, 400: Refused, 429: TooMany, 500: Unavailable }
    }
  }, async (request, reply) => {
    await core.logOut(request.body, request)
    // Without a body, so that no hook of the app around the route makes one.
    return reply.code(204).send(undefined as never)
  })
}
