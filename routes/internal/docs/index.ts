import swaggerUi from '@fastify/swagger-ui'
import type { FastifyPluginAsync } from 'fastify'
import { apiDocument } from '#src/openapi/document'
import { listeningPort } from '#src/listeners'

/** The page adds its own: below one made of the folder's name it would be found at /docs/ alone. */
export const prefixOverride = ''

/**
 * The API of both listeners as a page to read and to try, open like health: it tells nothing that the repository does
 * not. The document behind it names the listeners by the host that the reader came to.
 */
const route: FastifyPluginAsync = async app => {
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    uiConfig: { displayRequestDuration: true },
    // People type the API key here: nothing from elsewhere runs in the page, and no page frames it.
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
    transformSpecification: (_own, { protocol, host, hostname }) => apiDocument(app.surfaces, {
      public: `${protocol}://${hostname}:${listeningPort(app.surfaces.public) ?? app.config.PORT}`,
      internal: `${protocol}://${host}`
    }) as never
  })
}

export default route
