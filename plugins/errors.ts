import fp from 'fastify-plugin'
import type { FastifyError } from 'fastify'
import { errorBody, RefreshRefused, StoreUnavailable, TurnedAway } from '../src/errors.ts'
import { refusedOutcome } from '../src/metrics/requests.ts'
import { createTally, type Tally } from '../src/protection/tally.ts'

/**
 * The one place where an error becomes an answer and a log line. What a caller did is told in full to the log alone;
 * the message of an error never reaches a client unless it comes from our own schemas, on a route behind the API key.
 */
export default fp(async app => {
  const isPublic = app.surface === 'public'
  // First of all, so that every answer carries it (RFC 6749 section 5.1), and none waits for a body nobody will read.
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('cache-control', 'no-store')
    // No public route is for OPTIONS but the one of CORS; the preflights that it answers have been by now.
    if (!request.is404 && !(isPublic && request.method === 'OPTIONS')) return done()
    app.metrics.unmatched[app.surface]++
    reply.code(404).send(errorBody(404))
  })
  // What a route looked for in vain, as a file: all else the hook has answered.
  app.setNotFoundHandler((_request, reply) => { reply.code(404).send(errorBody(404)) })

  const turnedAway = createTally(app.log)
  app.decorate('turnedAway', turnedAway)
  app.addHook('onClose', async () => { turnedAway.flush() })

  app.setErrorHandler<FastifyError | RefreshRefused | TurnedAway>((err, request, reply) => {
    const status = publicStatus(err)
    const { explains = false, isRefresh = false } = request.routeOptions.config
    if (isRefresh) app.metrics.refreshes[refusedOutcome(err, status)]++
    if (err instanceof RefreshRefused) {
      const { outcome, userId, sid, statusCode } = err
      const message = statusCode === 400 ? 'refresh refused' : 'refresh refused; too few replicas have the end of its session'
      request.log[outcome === 'reused' ? 'warn' : 'info']({ outcome, userId, sid }, message)
      return reply.code(statusCode).send(errorBody(statusCode))
    }
    if (err instanceof TurnedAway) {
      turnedAway.count(err.reason)
      return reply.code(err.statusCode).header('retry-after', err.retryAfter).send(errorBody(err.statusCode))
    }
    if (status === 500) {
      const isOneOfMany = isRefresh && err instanceof StoreUnavailable && !turnedAway.count('redis')
      if (!isOneOfMany) request.log.error({ err, req: request }, 'request failed')
    } else if (explains) {
      request.log.info({ code: err.code, req: request }, 'request refused')
    } else {
      // The code alone: a parser's message may quote the body, and bodies hold tokens.
      request.log.info({ outcome: 'malformed', code: err.code }, 'refresh refused')
    }
    return reply.code(status).send(errorBody(status, explains ? explain(err) : undefined))
  })
}, { name: 'errors' })

/** Everything that is the caller's is 400, but for the statuses that are our own words. */
function publicStatus ({ statusCode = 500 }: { statusCode?: number }): number {
  if (statusCode === 401 || statusCode === 404) return statusCode
  return statusCode >= 400 && statusCode < 500 ? 400 : 500
}

/** Which field is wrong and why, from our schema: it never quotes a value. Or that a change is made and may be lost. */
function explain ({ validation, validationContext, code, message }: FastifyError): string | undefined {
  if (code === 'RTS_NOT_REPLICATED') return message
  const first = validation?.[0]
  return first === undefined ? undefined : `${validationContext}${first.instancePath} ${first.message}`
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Requests of this surface that were turned away. */
    turnedAway: Tally
  }
  interface FastifyContextConfig {
    /** Whether a 400 says which field is wrong: for callers behind the API key. */
    explains?: boolean
    /** Whether its errors are ways in which a refresh ends, for the metrics. */
    isRefresh?: boolean
  }
}
