import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { JSON_TYPE } from '#src/http/json'
import { oauthMetadata, type MetadataOptions } from '#src/oauth/metadata'
import { OauthMetadata } from '#src/schemas/oauth'
import { MAX_AGE } from '../clients/keys.ts'

/** `GET /.well-known/oauth-authorization-server` (RFC 8414 section 3). */
export const metadataRoute: FastifyPluginAsyncTypebox<MetadataOptions> = async (app, options) => {
  const text = JSON.stringify(oauthMetadata(options))

  app.get('/', {
    schema: {
      operationId: 'getOauthMetadata',
      tags: ['OAuth'],
      summary: 'The metadata of the authorization server',
      description: 'RFC 8414, with `OAUTH_ISSUER`. OAuth libraries find the other routes here.',
      response: { 200: OauthMetadata }
    }
  }, async (_request, reply) => {
    reply.headers({ 'cache-control': `public, max-age=${MAX_AGE}`, 'content-type': JSON_TYPE })
    return text as never
  })
}
