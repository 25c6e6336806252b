import type { FastifyError, onResponseHookHandler, RouteOptions } from 'fastify'
import { Aborted, RefreshRefused, TurnedAway } from '#src/errors'
import type { Surface } from '#src/listeners'
import type { RefreshOutcome } from './definitions.ts'
import { addSeries, observe, type Series } from './histogram.ts'
import type { Metrics } from './metrics.ts'

/**
 * A route's own onResponse hook, which observes how long its answers took, by status. What the labels say is known when
 * the route is made: a URL or a method that a client chose is in none.
 */
export function createRequestObserver ({ requests }: Metrics, surface: Surface, { method, url }: RouteOptions): onResponseHookHandler {
  const labels = { surface, method: typeof method === 'string' ? method : 'any', route: url }
  const byStatus: Series[] = []
  return (_request, reply, done) => {
    const { statusCode: status } = reply
    // Fastify has read the clock at both ends anyway.
    observe(byStatus[status] ??= addSeries(requests, { ...labels, status }), reply.elapsedTime / 1000)
    done()
  }
}

/** How a refresh ended that was answered with an error and `status`. */
export function refusedOutcome (err: FastifyError | RefreshRefused | TurnedAway, status: number): RefreshOutcome {
  if (err instanceof RefreshRefused || err instanceof TurnedAway) return err.outcome
  if (err instanceof Aborted) return 'aborted'
  return status === 500 ? 'unavailable' : 'malformed'
}

/** Counts bytes that were not read as a request for any route: what clients send to the public listener is refreshes. */
export function countUnread ({ refreshes }: Metrics, surface: Surface, outcome: 'malformed' | 'overloaded'): void {
  if (surface === 'public') refreshes[outcome]++
}
