import { type Listeners, listeningPort } from '#src/http/listeners'

/**
 * Origins at which a browser of this machine finds the API page of the internal listener. The page calls the public
 * listener, which is another origin; this is allowed only in development. The list is empty until the internal listener
 * listens, because the system may choose its port.
 */
export function docsOrigins (listeners: Listeners, internalHost: string): string[] {
  const port = listeningPort(listeners.internal)
  if (port === undefined) return []
  const host = internalHost.includes(':') ? `[${internalHost}]` : internalHost
  return [host, 'localhost', '127.0.0.1', '[::1]'].map(host => `http://${host}:${port}`)
}
