import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fastJsonStringify from 'fast-json-stringify'
import type { Core } from '#src/core/core'
import { idempotencyKeyOf } from '#src/http/idempotency-key'
import { BODY_LIMIT, JSON_TYPE } from '#src/http/json'
import { ErrorResponse, TooMany, Unavailable } from '#src/schemas/error'
import { RefreshHeaders, RefreshRequest, SessionTokens } from '#src/schemas/refresh'

const Refused = {
  ...ErrorResponse,
  description: 'Every client error gets this answer: a body that is not as documented, and a token that is forged, expired, unknown, revoked, ' +
    'reused or sent from another device. Ask the user to log in.'
}

/** The answer is sent as a text, so that no serializer of the app around the route changes it. */
const stringify = fastJsonStringify(SessionTokens as object)

export const refreshRoute: FastifyPluginAsyncTypebox<{ core: Core }> = async (app, { core }) => {
  app.post('/', {
    bodyLimit: BODY_LIMIT,
    config: { counts: 'refreshes' },
    schema: {
      operationId: 'refresh',
      tags: ['Refresh'],
      summary: 'Trade a refresh token for new tokens',
      description: 'Each refresh token works once. For `REFRESH_RETRY_WINDOW` seconds, a client that lost the answer can repeat its request and ' +
        'gets the same refresh token; after that, a used token ends its session. With the same `Idempotency-Key`, repeating has no time ' +
        'limit. Unknown fields are ignored.',
      headers: RefreshHeaders,
      body: RefreshRequest,
      response: { 200: SessionTokens, 400: Refused, 429: TooMany, 500: Unavailable }
    }
  }, async (request, reply) => {
    const { deviceId, refreshToken } = request.body
    const { body } = await core.refresh({ deviceId, refreshToken, idempotencyKey: idempotencyKeyOf(request.raw) }, request)
    reply.header('content-type', JSON_TYPE)
    return stringify(body) as never
  })
}
