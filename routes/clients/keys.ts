import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fastJsonStringify from 'fast-json-stringify'
import { JSON_TYPE } from '#src/http/json'
import { JwkSet } from '#src/schemas/jwks'
import type { PublicJwk } from '#src/tokens/private-keys'

/** Seconds for which verifiers and proxies may cache the keys. The rotation of docs/keys.md waits as long before a new key signs. */
export const MAX_AGE = 300

/** `GET /.well-known/jwks.json`. */
export const keysRoute: FastifyPluginAsyncTypebox<{ jwks: PublicJwk[] }> = async (app, { jwks }) => {
  // A text, so that no serializer of the app around the route changes it. The schema leaves out private members.
  const text = fastJsonStringify(JwkSet as object)({ keys: jwks })

  app.get('/jwks.json', {
    schema: {
      operationId: 'getKeys',
      tags: ['Tokens'],
      summary: 'The public keys of access tokens',
      description: 'A JWK set (RFC 7517) for verifiers; empty if secrets sign the access tokens (HS512). Cache it for as long as `Cache-Control` says; ' +
        'fetch it again for a `kid` that is not in it.',
      response: { 200: JwkSet }
    }
  }, async (_request, reply) => {
    reply.headers({ 'cache-control': `public, max-age=${MAX_AGE}`, 'content-type': JSON_TYPE })
    return text as never
  })
}
