import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { accessToken } from '#src/http/bearer'
import { bindingChallenge, challenge } from '#src/dpop/binding'
import type { PresentedProof } from '#src/dpop/proof'
import { proofHeader } from '#src/dpop/refresh'
import { createProofCheck } from '#src/dpop/replay'
import { AccessRefused, StoreUnavailable } from '#src/errors'
import { activeAccess } from '#src/introspection/introspection'
import { ErrorResponse } from '#src/schemas/error'
import { Role } from '#src/schemas/fields'

const ROLE = new RegExp(Role.pattern!)

const errors = {
  401: { ...ErrorResponse, description: 'The client\'s access token is missing, forged, expired, or of a session that has ended.' },
  500: { ...ErrorResponse, description: 'The gateway\'s own key is wrong, or Redis could not be used.' }
}

/** Envoy puts this path before the path of its client's request. */
const PREFIX = '/internal/verify'

const text = { type: 'string' }

const Identified = Type.Null({
  description: 'The user and the session, in headers for the API behind the gateway.',
  headers: { 'X-User-Id': text, 'X-User-Role': text, 'X-Session-Id': text }
})

/** The client's request, from headers that Traefik sets by itself and nginx by its configuration. If one is missing, no proof matches. */
function forwarded ({ headers }: FastifyRequest): Omit<PresentedProof, 'proof'> {
  const { 'x-forwarded-method': method, 'x-forwarded-proto': proto, 'x-forwarded-host': host, 'x-forwarded-uri': uri } = headers
  return { method: String(method), url: `${proto}://${host}${uri}` }
}

/**
 * Tells a gateway who its client is: nginx `auth_request`, Traefik `forwardAuth`, Envoy `ext_authz`. The client's access
 * token comes in `Authorization`, the gateway's own key in `X-Internal-Api-Key`.
 */
const routes: FastifyPluginAsyncTypebox = async app => {
  // A gateway may pass on its client's content type, or the body too. Both are ignored: the headers hold all that is needed.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, body, done) => {
    body.resume()
    done(null)
  })

  const checkProof = createProofCheck()

  /**
   * Sets the client's identity in the answer's headers. The role comes from the record, not the token, so a change applies at once.
   * `called` is the client's own request, which a proof names (RFC 9449 section 7.1).
   */
  async function identify (request: FastifyRequest, reply: FastifyReply, called: Omit<PresentedProof, 'proof'>): Promise<void> {
    const presented = accessToken(request.headers.authorization)
    const live = presented && await activeAccess(app, presented.token)
    if (live === undefined) {
      reply.header('www-authenticate', presented?.scheme === 'DPoP' ? challenge('DPoP', false) : 'Bearer')
      throw new AccessRefused()
    }
    const { claims, session } = live
    const refused = bindingChallenge(checkProof, presented!, claims.cnf?.jkt, { ...called, proof: proofHeader(request) })
    if (refused !== undefined) {
      reply.header('www-authenticate', refused)
      throw new AccessRefused()
    }
    // Redis may hold a damaged role, and a proxy that trims or folds header values could make another role of it.
    // An unknown role is an empty header: without the header, Envoy would pass on the one that its client sent.
    if (session.role !== '' && !ROLE.test(session.role)) throw new StoreUnavailable(`the role of user ${claims.id} is damaged`)
    reply.headers({ 'x-user-id': claims.id, 'x-user-role': session.role, 'x-session-id': claims.sid })
  }

  app.get('/', {
    config: { gateway: true, scope: 'introspect' },
    // Envoy uses the path with a slash, when its client asks for the root.
    prefixTrailingSlash: 'no-slash',
    exposeHeadRoute: false,
    schema: {
      operationId: 'verifyForGateway',
      tags: ['Tokens'],
      summary: 'Check a request for a gateway',
      description: 'For nginx `auth_request` and Traefik `forwardAuth`: the client\'s access token comes in `Authorization`. ' +
        'Envoy appends its client\'s path to this path, uses its client\'s method, and gets a 200.',
      response: { 204: Identified, ...errors }
    }
  }, async (request, reply) => {
    await identify(request, reply, forwarded(request))
    return reply.code(204).send(null)
  })

  // Envoy appends its client's path, keeps the method, and accepts only a 200 as permission.
  app.all('/*', {
    config: { gateway: true, scope: 'introspect' },
    // The appended path belongs to another service, and may hold secrets that no log should have.
    logSerializers: { req: ({ method }: FastifyRequest) => ({ method, url: '/internal/verify/*' }) },
    schema: { hide: true, response: { 200: Type.Literal(''), ...errors } }
  }, async (request, reply) => {
    const { method, headers, originalUrl } = request
    await identify(request, reply, { method, url: `${headers['x-forwarded-proto']}://${headers.host}${originalUrl.slice(PREFIX.length)}` })
    return reply.send('')
  })
}

export default routes
