import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Core } from '#src/core/core'
import { BODY_LIMIT, JSON_TYPE } from '#src/http/json'
import type { AuthenticateClient } from '#src/oauth/clients'
import { oauthErrors, RevocationRefused, RevocationRequest, Revoked } from '#src/schemas/oauth'

/** `POST /oauth/revoke` (RFC 7009). Only refresh tokens can be revoked, as section 2 permits. */
export const revokeRoute: FastifyPluginAsyncTypebox<{ core: Core, authenticate: AuthenticateClient }> = async (app, options) => {
  const { core, authenticate } = options

  app.post('/', {
    bodyLimit: BODY_LIMIT,
    config: { counts: 'logouts' },
    schema: {
      operationId: 'revokeAsOauthClient',
      tags: ['OAuth'],
      summary: 'Log out, with any OAuth library: end the session of a refresh token',
      description: 'RFC 7009, with `OAUTH_ISSUER`. Idempotent. An access token ends nothing: it dies with its session. Clients authenticate as at ' +
        '`/oauth/token`.',
      consumes: ['application/x-www-form-urlencoded'],
      body: RevocationRequest,
      response: { 200: Revoked, 400: RevocationRefused, ...oauthErrors }
    }
  }, async (request, reply) => {
    const { body, headers } = request
    const clientId = authenticate(headers.authorization, body)
    await core.logOut({ deviceId: body.device_id, refreshToken: body.token, clientId }, request)
    reply.header('content-type', JSON_TYPE)
    return '{}' as never
  })
}
