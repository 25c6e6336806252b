import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyPluginAsync } from 'fastify'
import { bearerToken } from '#src/http/bearer'
import { GatewayRefused, Unauthorized } from '#src/errors'

const hash = (text: string): Buffer => createHash('sha256').update(text).digest()

/** Every route under /internal requires the API key (RFC 6750 section 2.1). */
const hooks: FastifyPluginAsync = async app => {
  // Hashes have equal lengths, so that the comparison's timing reveals neither the key's length nor its beginning.
  const expected = hash(app.config.INTERNAL_API_KEY)

  app.addHook('onRequest', async (request, reply) => {
    const { gateway = false } = request.routeOptions.config
    const key = gateway ? request.headers['x-internal-api-key'] : bearerToken(request.headers.authorization)
    if (timingSafeEqual(hash(String(key ?? '')), expected)) return
    if (gateway) throw new GatewayRefused()
    reply.header('www-authenticate', 'Bearer')
    throw new Unauthorized()
  })

  app.addHook('onRoute', route => {
    route.config = { ...route.config, explains: true }
    const scheme = route.config.gateway === true ? 'gatewayApiKey' : 'internalApiKey'
    route.schema = { ...route.schema, security: [{ [scheme]: [] }] }
  })
}

export default hooks

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * Whether the caller is a gateway, which passes on its client's `Authorization`. Its own key is in `X-Internal-Api-Key`,
     * and a wrong key is answered 500: the gateway would pass a 401 on to a client whose token is good.
     */
    gateway?: boolean
  }
}
