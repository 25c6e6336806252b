import cors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'

/** Seconds for which a browser need not ask again; Chromium takes no more than 7200. */
const MAX_AGE = 600

/** No credentials: tokens travel in bodies, and no cookie is ours. */
const plain = { origin: true, preflight: false, exposedHeaders: 'Retry-After, X-Request-Id' }
const preflight = { origin: true, methods: 'GET, POST', allowedHeaders: 'content-type', maxAge: MAX_AGE, cacheControl: 'no-store' }
const foreign = { origin: false }

/**
 * Lets pages of other origins read the answers of this surface, errors included (the Fetch standard's CORS protocol).
 * Goes before all plugins: the hook that answers unknown routes would refuse a preflight.
 */
export async function allowOrigins (app: FastifyInstance, isAllowed: (origin: string) => boolean): Promise<void> {
  await app.register(cors, {
    delegator: ({ headers }, done) => {
      const { origin, 'access-control-request-method': method } = headers
      if (origin === undefined || !isAllowed(origin)) done(null, foreign)
      else done(null, method === undefined ? plain : preflight)
    }
  })
}
