import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Core, Refreshed } from '#src/core/core'
import { UnsupportedGrantType } from '#src/errors'
import { idempotencyKeyOf } from '#src/http/idempotency-key'
import { BODY_LIMIT, JSON_TYPE } from '#src/http/json'
import type { AuthenticateClient } from '#src/oauth/clients'
import { oauthErrors, TokenAnswer, TokenRefused, TokenRequest } from '#src/schemas/oauth'
import { RefreshHeaders } from '#src/schemas/refresh'

interface Options {
  core: Core
  authenticate: AuthenticateClient
  /** Lifetime of an access token in seconds. */
  accessTtl: number
}

/** `POST /oauth/token` (RFC 6749 section 6). */
export const tokenRoute: FastifyPluginAsyncTypebox<Options> = async (app, { core, authenticate, accessTtl }) => {
  app.post('/', {
    bodyLimit: BODY_LIMIT,
    config: { counts: 'refreshes' },
    // Before the schema, which wants the parameters of a refresh.
    preValidation: async ({ body }) => {
      const { grant_type: type } = body as { grant_type?: unknown } ?? {}
      if (typeof type === 'string' && type !== 'refresh_token') throw new UnsupportedGrantType()
    },
    schema: {
      operationId: 'refreshAsOauthClient',
      tags: ['OAuth'],
      summary: 'Trade a refresh token for new tokens, with any OAuth library',
      description: 'RFC 6749, section 6, with `OAUTH_ISSUER`. It follows the rules of `POST /api/ps/refresh`. A session that was opened with a `clientId` ' +
        'is refreshed only for that client. A confidential client authenticates with `Authorization: Basic` and its name and key of ' +
        '`INTERNAL_API_KEYS`, which has the scope `oauth`.',
      consumes: ['application/x-www-form-urlencoded'],
      headers: RefreshHeaders,
      body: TokenRequest,
      response: { 200: TokenAnswer, 400: TokenRefused, ...oauthErrors }
    }
  }, async (request, reply) => {
    const { body, headers } = request
    const clientId = authenticate(headers.authorization, body)
    const idempotencyKey = idempotencyKeyOf(request.raw)
    const presented = { deviceId: body.device_id, refreshToken: body.refresh_token, idempotencyKey, clientId }
    const refreshed = await core.refresh(presented, request)
    reply.header('content-type', JSON_TYPE)
    return JSON.stringify(toAnswer(refreshed, accessTtl)) as never
  })
}

/** RFC 6749 section 5.1, RFC 9449 section 5. */
function toAnswer ({ session: { binding, claims }, body }: Refreshed, accessTtl: number): typeof TokenAnswer.static {
  return {
    access_token: body.token,
    token_type: binding?.jkt === undefined ? 'Bearer' : 'DPoP',
    expires_in: accessTtl,
    refresh_token: body.refreshToken,
    ...typeof claims?.scope === 'string' && { scope: claims.scope }
  }
}
