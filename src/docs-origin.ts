import type { FastifyInstance } from 'fastify'
import type { Surfaces } from './surfaces.ts'
import { listeningPort } from './surfaces.ts'

/**
 * Lets the API page of the internal listener call the public one, which is another origin to a browser: answers its
 * preflights and marks the answers as readable (the Fetch standard's CORS protocol). For development alone.
 * The hook goes before all others, since the one that answers unknown routes would refuse a preflight.
 */
export function allowDocsOrigin (app: FastifyInstance, surfaces: Surfaces, internalHost: string): void {
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('vary', 'Origin')
    const { origin, 'access-control-request-method': method } = request.headers
    if (origin === undefined || !docsOrigins(surfaces, internalHost).includes(origin)) return done()

    reply.header('access-control-allow-origin', origin)
    if (request.method !== 'OPTIONS' || method === undefined) return done()
    reply
      .header('access-control-allow-methods', 'GET, POST')
      .header('access-control-allow-headers', 'content-type')
      .header('cache-control', 'no-store')
      .code(204)
      .send()
  })
}

/** Where a browser of this machine finds the page: known once the internal listener listens, as its port may be the system's choice. */
function docsOrigins (surfaces: Surfaces, internalHost: string): string[] {
  const port = listeningPort(surfaces.internal)
  if (port === undefined) return []
  const host = internalHost.includes(':') ? `[${internalHost}]` : internalHost
  return [host, 'localhost', '127.0.0.1', '[::1]'].map(host => `http://${host}:${port}`)
}
