import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'

/** Milliseconds in which keep-alive connections may still send a request before the idle ones are closed. */
const KEEP_ALIVE_GRACE = 100

/** While the last requests are answered, connections that are idle or finished on our side are closed every so many milliseconds. */
const SWEEP_INTERVAL = 50

/**
 * Makes every further answer close its connection, so that clients and load balancers move their keep-alive
 * connections elsewhere before the listener closes. Costs nothing until it is called.
 */
export function closeConnectionsAfterAnswers (app: FastifyInstance): void {
  app.server.prependListener('request', (_request, response) => { response.setHeader('connection', 'close') })
}

/**
 * Stops listening and resolves when all accepted requests are answered. Idle connections don't delay it; requests still
 * open after `grace` milliseconds are cut off.
 */
export async function drain (app: FastifyInstance, grace: number): Promise<void> {
  await delay(KEEP_ALIVE_GRACE)
  const sweep = setInterval(() => {
    app.server.closeIdleConnections()
    app.connections.endFinished()
  }, SWEEP_INTERVAL)
  const cut = setTimeout(() => app.server.closeAllConnections(), grace)
  try {
    await app.close()
  } finally {
    clearInterval(sweep)
    clearTimeout(cut)
  }
}
