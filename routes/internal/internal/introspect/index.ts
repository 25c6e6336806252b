import formbody from '@fastify/formbody'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { introspect } from '#src/introspection/introspection'
import { ErrorResponse } from '#src/schemas/error'
import { Introspection, IntrospectionRequest } from '#src/schemas/introspection'

/** RFC 7662, behind the internal API key (section 2.1 requires an authenticated caller). */
const route: FastifyPluginAsyncTypebox = async app => {
  // This route accepts only forms, and no other route accepts them.
  app.removeAllContentTypeParsers()
  await app.register(formbody)

  app.post('/', {
    config: { scope: 'introspect' },
    schema: {
      operationId: 'introspectToken',
      tags: ['Tokens'],
      summary: 'Check a token and find its user',
      description: 'RFC 7662. A refresh token is active only with `token_type_hint=refresh_token`, and only while a refresh from its own ' +
        'device would succeed; an access token is active under every hint. Introspection does not use up the token.',
      consumes: ['application/x-www-form-urlencoded'],
      body: IntrospectionRequest,
      response: { 200: Introspection, 400: ErrorResponse, 401: ErrorResponse, 500: ErrorResponse }
    }
  }, async ({ body }) => await introspect(app, body.token, body.token_type_hint))
}

export default route
