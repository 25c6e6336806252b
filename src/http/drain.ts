import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'

/** How long keep-alive connections may still bring a request before the idle ones are closed, milliseconds. */
const LINGER = 100

/** How often connections that became idle, or are finished on our side, are closed while the last requests are answered, milliseconds. */
const SWEEP = 50

/**
 * From now on every answer closes its connection, so that clients and load balancers move their keep-alive
 * connections elsewhere before the listener goes. Costs nothing until it is called.
 */
export function closeConnectionsAfterAnswers (app: FastifyInstance): void {
  app.server.prependListener('request', (_request, response) => { response.setHeader('connection', 'close') })
}

/**
 * Stops listening and resolves when everything accepted has been answered. Idle connections don't hold it up;
 * requests that are not over after `grace` milliseconds are cut.
 */
export async function drain (app: FastifyInstance, grace: number): Promise<void> {
  await delay(LINGER)
  const sweep = setInterval(() => {
    app.server.closeIdleConnections()
    app.connections.endFinished()
  }, SWEEP)
  const cut = setTimeout(() => app.server.closeAllConnections(), grace)
  try {
    await app.close()
  } finally {
    clearInterval(sweep)
    clearTimeout(cut)
  }
}
