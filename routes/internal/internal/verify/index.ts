import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { bearerToken } from '#src/http/bearer'
import { AccessRefused, StoreUnavailable } from '#src/errors'
import { liveAccess } from '#src/introspection/active-tokens'
import { ErrorResponse } from '#src/schemas/error'
import { Role } from '#src/schemas/fields'

const ROLE = new RegExp(Role.pattern!)

const errors = {
  401: { ...ErrorResponse, description: 'The client\'s access token is missing, forged, expired, or of a session that has ended.' },
  500: { ...ErrorResponse, description: 'The gateway\'s own key is wrong, or Redis could not be used.' }
}

const text = { type: 'string' }

const Identified = Type.Null({
  description: 'Who it is, in headers for the API behind the gateway.',
  headers: { 'X-User-Id': text, 'X-User-Role': text, 'X-Session-Id': text }
})

/**
 * Tells a gateway who its client is: nginx `auth_request`, Traefik `forwardAuth`, Envoy `ext_authz`. The client's access
 * token comes in `Authorization`, the gateway's own key in `X-Internal-Api-Key`.
 */
const routes: FastifyPluginAsyncTypebox = async app => {
  // A gateway may pass on the type of its client's body, or the body too: the question is in the headers alone.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, body, done) => {
    body.resume()
    done(null)
  })

  /** Sets who it is. The role is the record's, not the token's, so that a change of it holds at once. */
  async function identify (request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const live = await liveAccess(app, bearerToken(request.headers.authorization) ?? '')
    if (live === undefined) {
      reply.header('www-authenticate', 'Bearer')
      throw new AccessRefused()
    }
    const { claims, session } = live
    // Our schemas let no other role in, but they do not guard Redis, and proxies trim and fold what they do not like.
    if (!ROLE.test(session.role)) throw new StoreUnavailable(`the role of user ${claims.id} is damaged`)
    reply.headers({ 'x-user-id': claims.id, 'x-user-role': session.role, 'x-session-id': claims.sid })
  }

  app.get('/', {
    config: { gateway: true },
    // The path with a slash is Envoy's, as its client's root.
    prefixTrailingSlash: 'no-slash',
    exposeHeadRoute: false,
    schema: {
      operationId: 'verifyForGateway',
      tags: ['Tokens'],
      summary: 'May this request pass the gateway?',
      description: 'For nginx `auth_request` and Traefik `forwardAuth`: the client\'s access token comes in `Authorization`. ' +
        'Envoy asks with its client\'s own path and method behind this path and is answered 200.',
      response: { 204: Identified, ...errors }
    }
  }, async (request, reply) => {
    await identify(request, reply)
    return reply.code(204).send(null)
  })

  // Envoy appends its client's path, keeps the method, and takes a 200 alone for a yes.
  app.all('/*', {
    config: { gateway: true },
    // That path is another service's; it may hold what no log should.
    logSerializers: { req: ({ method }: FastifyRequest) => ({ method, url: '/internal/verify/*' }) },
    schema: { hide: true, response: { 200: Type.Literal(''), ...errors } }
  }, async (request, reply) => {
    await identify(request, reply)
    return reply.send('')
  })
}

export default routes
