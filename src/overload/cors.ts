import cors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'

/** Seconds for which a browser may cache a preflight's answer; Chromium caps it at 7200. */
const MAX_AGE = 600

const plain = { origin: true, preflight: false, exposedHeaders: 'Retry-After, X-Request-Id' }
const preflight = { origin: true, methods: 'GET, POST, DELETE', allowedHeaders: 'authorization, content-type, idempotency-key, dpop', maxAge: MAX_AGE, cacheControl: 'no-store' }
const foreign = { origin: false }

/**
 * Lets pages of other origins read the answers of this listener, errors included (the Fetch standard's CORS protocol).
 * Register it before all plugins: the hook that answers unknown routes would refuse a preflight. Browsers send cookies to
 * the paths of `usesCookies` only; to all others, tokens travel in bodies.
 */
export async function allowOrigins (
  app: FastifyInstance, isAllowed: (origin: string) => boolean, usesCookies: (path: string) => boolean
): Promise<void> {
  await app.register(cors, {
    delegator: ({ headers, url }, done) => {
      const { origin, 'access-control-request-method': method } = headers
      if (origin === undefined || !isAllowed(origin)) done(null, foreign)
      else done(null, { ...method === undefined ? plain : preflight, credentials: usesCookies(url) })
    }
  })
}
