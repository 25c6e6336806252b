import swaggerUi from '@fastify/swagger-ui'
import type { FastifyPluginAsync } from 'fastify'
import { apiDocument } from '#src/openapi/document'
import { listeningPort } from '#src/http/listeners'

/** No prefix, because the plugin adds its own; with a prefix from the folder's name the page would be found only at /docs/. */
export const prefixOverride = ''

/**
 * The API of both listeners as a page to read and to try. It needs no key, like the health checks, because the repository
 * has the same content. Its document builds the listeners' URLs from the host of the request.
 */
const route: FastifyPluginAsync = async app => {
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    uiConfig: { displayRequestDuration: true },
    // People type the API key here, so no foreign script runs in the page, and no other page may frame it.
    staticCSP: {
      'default-src': "'self'",
      'style-src': ["'self'", "'unsafe-inline'"],
      'img-src': ["'self'", 'data:'],
      'connect-src': ["'self'", 'http:', 'https:'],
      'base-uri': "'none'",
      'form-action': "'none'",
      'frame-ancestors': "'none'",
      'object-src': "'none'"
    },
    transformSpecificationClone: false,
    transformSpecification: (_own, { protocol, host, hostname }) => apiDocument(app.listeners, {
      public: `${protocol}://${hostname}:${listeningPort(app.listeners.public) ?? app.config.PORT}`,
      internal: `${protocol}://${host}`
    }) as never
  })
}

export default route
