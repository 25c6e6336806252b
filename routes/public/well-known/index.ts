import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { JwkSet } from '#src/schemas/jwks'

/** Set by hand, because the folder can't have the path's name: TypeScript leaves out folders whose names begin with a dot. */
export const autoPrefix = '/.well-known'

/** Seconds for which verifiers and proxies may cache the keys; docs/keys.md waits as long before a new key signs. */
const MAX_AGE = 300

const route: FastifyPluginAsyncTypebox = async app => {
  const jwks = { keys: app.jwks }

  app.get('/jwks.json', {
    schema: {
      operationId: 'getKeys',
      tags: ['Tokens'],
      summary: 'The public keys of access tokens',
      description: 'A JWK set (RFC 7517) for verifiers; empty while secrets sign. Cache it for as long as `Cache-Control` says; ' +
        'fetch it again for a `kid` that is not in it.',
      response: { 200: JwkSet }
    }
  }, async (_request, reply) => {
    reply.header('cache-control', `public, max-age=${MAX_AGE}`)
    return jwks
  })
}

export default route
