import type { Surfaces } from '#src/listeners'
import { listeningPort } from '#src/listeners'

/**
 * Where a browser of this machine finds the API page of the internal listener, which calls the public one: that is
 * another origin to it, allowed in development alone. Known once the internal listener listens, as its port may be the
 * system's choice.
 */
export function docsOrigins (surfaces: Surfaces, internalHost: string): string[] {
  const port = listeningPort(surfaces.internal)
  if (port === undefined) return []
  const host = internalHost.includes(':') ? `[${internalHost}]` : internalHost
  return [host, 'localhost', '127.0.0.1', '[::1]'].map(host => `http://${host}:${port}`)
}
