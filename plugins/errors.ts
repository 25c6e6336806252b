import fp from 'fastify-plugin'
import { createErrorHandler, type Reporter } from '#src/core/error-handler'
import { errorBody } from '#src/errors'
import { createRejectionLog } from '#src/overload/rejection-log'

/** Answers every error and every unknown path. Logs and counts refused requests, and requests that were turned away. */
export default fp(async app => {
  const isPublic = app.listener === 'public'
  // Before the hooks of the limits, so that every answer has the header (RFC 6749 section 5.1), and a 404 waits for no body.
  app.addHook('onRequest', (request, reply, done) => {
    // The only public OPTIONS route is that of CORS, and its own hook has already answered the valid preflights.
    const isUnknown = request.is404 || (isPublic && request.method === 'OPTIONS')
    // The public routes set it themselves.
    if (!isPublic || isUnknown) reply.header('cache-control', 'no-store')
    if (!isUnknown) return done()
    app.metrics.unmatched[app.listener]++
    reply.code(404).send(errorBody(404))
  })
  // Reached only through `reply.callNotFound()`, such as for a missing file: the hook above answers all other 404s.
  app.setNotFoundHandler((_request, reply) => { reply.code(404).send(errorBody(404)) })

  const reporter: Reporter = {
    turnedAway: createRejectionLog(counts => { app.log.warn({ turnedAway: counts }, 'requests were turned away') }),
    refused: createRejectionLog(counts => { app.log.info({ refused: counts }, 'requests were refused') }),
    count (route, outcome) {
      const counters: Record<string, number> = app.metrics[route]
      counters[outcome]!++
    },
    refusedToken: token => { app.audit.refused(token) }
  }
  app.decorate('reporter', reporter)
  app.addHook('onClose', async () => {
    reporter.turnedAway.flush()
    reporter.refused.flush()
  })
  app.setErrorHandler(createErrorHandler(reporter))
}, { name: 'errors' })

declare module 'fastify' {
  interface FastifyInstance {
    reporter: Reporter
  }
  interface FastifyContextConfig {
    /** Whether errors carry details, such as a wrong field: for callers behind the API key. */
    explains?: boolean
    /** The metric that counts this route's answers by outcome: for the requests of clients. */
    counts?: 'refreshes' | 'logouts'
    /** Answers a refused refresh token in place of the uniform 400. */
    answerRefused?: (reply: FastifyReply) => FastifyReply
  }
}
