import type { FastifyPluginAsync } from 'fastify'
import { apiKeys } from '#src/config/options'
import { callerOf, challengeTo, createCallers } from '#src/http/callers'
import { Forbidden, GatewayRefused, Unauthorized } from '#src/errors'
import { ErrorResponse } from '#src/schemas/error'
import type { SessionStore } from '#src/sessions/store'
import type { Scope } from '#src/settings/api-keys'

/**
 * Every route under /internal requires an API key with the route's scope (RFC 6750 sections 2.1 and 3.1). OAuth libraries send it as
 * `Basic` credentials with the caller's name (RFC 6749 section 2.3.1).
 */
const hooks: FastifyPluginAsync = async app => {
  const keys = apiKeys(app.config)
  const findCaller = createCallers(keys)
  const stores = new Map(keys.map(({ name }) => [name, app.store.as(name)]))

  app.addHook('onRequest', async (request, reply) => {
    const { gateway = false, scope } = request.routeOptions.config
    const { authorization, 'x-internal-api-key': key = '' } = request.headers
    const caller = gateway ? findCaller(String(key)) : callerOf(findCaller, authorization)
    if (caller === undefined) {
      if (gateway) throw new GatewayRefused('is missing or wrong')
      reply.header('www-authenticate', challengeTo(authorization))
      throw new Unauthorized()
    }
    request.caller = caller.name
    request.sessions = stores.get(caller.name)!
    if (caller.scopes.includes(scope!)) return
    if (gateway) throw new GatewayRefused(`lacks the scope ${scope}`)
    reply.header('www-authenticate', `Bearer error="insufficient_scope", scope="${scope}"`)
    throw new Forbidden(caller.name, scope)
  })

  app.addHook('onRoute', route => {
    const { gateway = false, scope } = route.config ?? {}
    if (scope === undefined) throw new Error(`the route ${route.url} names no scope`)
    route.config = { ...route.config, explains: true }
    const { description, response } = route.schema as { description?: string, response: object }
    route.schema = {
      ...route.schema,
      description: `${description} Needs the scope \`${scope}\`.`,
      security: gateway ? [{ gatewayApiKey: [] }] : [{ internalApiKey: [] }, { internalApiBasic: [] }],
      response: gateway ? response : { ...response, 403: ErrorResponse }
    }
  })
}

export default hooks

declare module 'fastify' {
  interface FastifyRequest {
    /** The name of the API key; `undefined` on the public listener, and without a known key. */
    caller?: string
    /** The session store for this caller, under /internal: the audit trail names who opened or ended a session. */
    sessions: SessionStore
  }
  interface FastifyContextConfig {
    /**
     * Whether the caller is a gateway, which passes on its client's `Authorization`. Its own key is in `X-Internal-Api-Key`,
     * and a wrong key is answered 500: the gateway would pass a 401 or 403 on to a client whose token is good.
     */
    gateway?: boolean
    /** The scope that the API key needs. Every route under /internal has one. */
    scope?: Scope
  }
}
