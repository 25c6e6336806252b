import fp from 'fastify-plugin'
import type { FastifyError, FastifyRequest } from 'fastify'
import { Aborted, AccessRefused, errorBody, RefreshRefused, StoreUnavailable, TurnedAway, type TurnAwayReason } from '#src/errors'
import { refusedOutcome } from '#src/metrics/requests'
import { createTally, type Tally } from '#src/overload/tally'

const aborted = new Aborted()

/** `redis`: let in, and failed by Redis. Of connections: too many of an address, too many requests on one, answers not read. */
type TurnedAwayReason = TurnAwayReason | 'redis' | 'address_connections' | 'pipelined' | 'unread'

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

  const turnedAway = createTally<TurnedAwayReason>(counts => { app.log.warn({ turnedAway: counts }, 'requests were turned away') })
  const refused = createTally(counts => { app.log.info({ refused: counts }, 'requests were refused') })
  app.decorate('turnedAway', turnedAway)
  app.decorate('refused', refused)
  app.addHook('onClose', async () => {
    turnedAway.flush()
    refused.flush()
  })

  /** Anybody can cause it, without a token of ours: at `info` a line a second has the numbers of all. */
  function refuse ({ log }: FastifyRequest, reason: string): void {
    refused.count(reason)
    log.debug({ reason }, 'request refused')
  }

  app.setErrorHandler<FastifyError | RefreshRefused | TurnedAway>((error, request, reply) => {
    const err = isBrokenOff(error, request) ? aborted : error
    const status = publicStatus(err)
    const { explains = false, isRefresh = false } = request.routeOptions.config
    if (isRefresh) app.metrics.refreshes[refusedOutcome(err, status)]++
    if (err instanceof TurnedAway) {
      turnedAway.count(err.reason)
      return reply.code(err.statusCode).header('retry-after', err.retryAfter).send(errorBody(err.statusCode))
    }
    if (err instanceof RefreshRefused) {
      const { outcome, userId, sid } = err
      const message = status === 400 ? 'refresh refused' : 'refresh refused; too few replicas have the end of its session'
      if (sid === undefined) refuse(request, outcome)
      else request.log[outcome === 'reused' ? 'warn' : 'info']({ outcome, userId, sid }, message)
      return reply.code(status).send(errorBody(status))
    }
    if (status === 500) {
      const isOneOfMany = isRefresh && err instanceof StoreUnavailable && !turnedAway.count('redis')
      if (!isOneOfMany) request.log.error({ err, req: request }, 'request failed')
    } else if (explains && !(err instanceof AccessRefused)) {
      request.log.info({ code: err.code, req: request }, 'request refused')
    } else {
      // The code alone: a parser's message may quote the body, and bodies hold tokens.
      refuse(request, err.code)
    }
    return reply.code(status).send(errorBody(status, explains ? explain(err) : undefined))
  })
}, { name: 'errors' })

/** Everything that is the caller's is 400, but for the statuses that are our own words. */
function publicStatus ({ statusCode = 500 }: { statusCode?: number }): number {
  if (statusCode === 401 || statusCode === 404 || statusCode === 409) return statusCode
  return statusCode >= 400 && statusCode < 500 ? 400 : 500
}

/** Whether the connection broke while a body was read. One that our own answer ends, to bytes that are no HTTP, fails alike. */
function isBrokenOff (err: object, { raw: { socket } }: FastifyRequest): boolean {
  return 'code' in err && err.code === 'ECONNRESET' && !socket.writableEnded
}

/** Which field is wrong and why: it never quotes a value. Or that a change is made and may be lost. */
function explain ({ validation, validationContext, code, message }: FastifyError): string | undefined {
  if (code === 'RTS_NOT_REPLICATED' || code === 'RTS_AUTHENTICATED_AHEAD') return message
  const first = validation?.[0]
  return first === undefined ? undefined : `${validationContext}${first.instancePath} ${first.message}`
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Requests of this surface that were turned away. */
    turnedAway: Tally<TurnedAwayReason>
    /** Requests of this surface that were refused and showed no token of ours, by error code; `forged` are refresh tokens. */
    refused: Tally
  }
  interface FastifyContextConfig {
    /** Whether a 400 says which field is wrong: for callers behind the API key. */
    explains?: boolean
    /** Whether its errors are ways in which a refresh ends, for the metrics. */
    isRefresh?: boolean
  }
}
