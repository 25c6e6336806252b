import type { onResponseHookHandler, RouteOptions } from 'fastify'
import type { Listener } from '#src/http/listeners'
import { addSeries, observe, type Series } from './instruments.ts'
import type { Metrics } from './metrics.ts'

/**
 * Creates a route's own onResponse hook, which observes the duration of its answers by status. The other labels are fixed
 * when the route is added, so that no label holds a URL or a method that a client chose.
 */
export function createRequestObserver ({ requests }: Metrics, listener: Listener, { method, url }: RouteOptions): onResponseHookHandler {
  const labels = { surface: listener, method: typeof method === 'string' ? method : 'any', route: url }
  const byStatus: Series[] = []
  return (_request, reply, done) => {
    const { statusCode: status } = reply
    // Fastify has already read the clock at the start and the end.
    observe(byStatus[status] ??= addSeries(requests, { ...labels, status }), reply.elapsedTime / 1000)
    done()
  }
}

/** Counts an answer that no route gave: on the public listener as a refresh, because clients send little else. */
export function countUnread ({ refreshes }: Metrics, listener: Listener, outcome: 'malformed' | 'overloaded'): void {
  if (listener === 'public') refreshes[outcome]++
}
