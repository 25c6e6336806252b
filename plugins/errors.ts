import fp from 'fastify-plugin'
import type { FastifyError, FastifyRequest } from 'fastify'
import { Aborted, AccessRefused, errorBody, RefreshRefused, StoreUnavailable, TurnedAway, type ErrorStatus, type TurnAwayReason } from '#src/errors'
import { refusedOutcome } from '#src/metrics/requests'
import { createRejectionLog, type RejectionLog } from '#src/overload/rejection-log'

const aborted = new Aborted()

/**
 * `redis`: the request was admitted, but Redis failed. The next three close a connection: its address has too many, too
 * many requests wait on it, or its client does not read the answers.
 */
type TurnedAwayReason = TurnAwayReason | 'redis' | 'address_connections' | 'pipelined' | 'unread'

/**
 * Turns every error into an answer and a log line. Only the log records the full cause. A client never gets an error's
 * message, unless it comes from our own schemas or error classes, on a route behind the API key.
 */
export default fp(async app => {
  const isPublic = app.listener === 'public'
  // The first hook, so that every answer has the header (RFC 6749 section 5.1), and a 404 does not wait for an unused body.
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('cache-control', 'no-store')
    // The only public OPTIONS route is that of CORS, and its own hook has already answered the valid preflights.
    if (!request.is404 && !(isPublic && request.method === 'OPTIONS')) return done()
    app.metrics.unmatched[app.listener]++
    reply.code(404).send(errorBody(404))
  })
  // Reached only through `reply.callNotFound()`, such as for a missing file: the hook above answers all other 404s.
  app.setNotFoundHandler((_request, reply) => { reply.code(404).send(errorBody(404)) })

  const turnedAway = createRejectionLog<TurnedAwayReason>(counts => { app.log.warn({ turnedAway: counts }, 'requests were turned away') })
  const refused = createRejectionLog(counts => { app.log.info({ refused: counts }, 'requests were refused') })
  app.decorate('turnedAway', turnedAway)
  app.decorate('refused', refused)
  app.addHook('onClose', async () => {
    turnedAway.flush()
    refused.flush()
  })

  /** For refusals that need no token of ours, so anybody can cause them. At `info`, one line a second has all counts. */
  function refuse ({ log }: FastifyRequest, reason: string): void {
    refused.count(reason)
    log.debug({ reason }, 'request refused')
  }

  app.setErrorHandler<FastifyError | RefreshRefused | TurnedAway>((error, request, reply) => {
    const err = isBrokenOff(error, request) ? aborted : error
    const status = publicStatus(err)
    const { explains = false, counts } = request.routeOptions.config
    if (counts !== undefined) {
      const counters: Record<string, number> = app.metrics[counts]
      counters[refusedOutcome(err, status)]!++
    }
    if (err instanceof TurnedAway) {
      turnedAway.count(err.reason)
      return reply.code(err.statusCode).header('retry-after', err.retryAfter).send(errorBody(err.statusCode))
    }
    if (err instanceof RefreshRefused) {
      const { outcome, userId, sid } = err
      const refusal = counts === 'logouts' ? 'log-out refused' : 'refresh refused'
      const message = status === 400 ? refusal : `${refusal}; too few replicas have the end of its session`
      if (sid === undefined) {
        refuse(request, outcome)
      } else {
        app.audit.refused({ userId: userId!, sid, reason: outcome, reqId: request.id })
        // `reused` comes once for a session, because it ends; the audit trail limits the lines of the others.
        request.log[outcome === 'reused' ? 'warn' : 'debug']({ outcome, userId, sid }, message)
      }
      return reply.code(status).send(errorBody(status))
    }
    if (status === 500) {
      const isOneOfMany = counts !== undefined && err instanceof StoreUnavailable && !turnedAway.count('redis')
      if (!isOneOfMany) request.log.error({ err, req: request }, 'request failed')
    } else if (explains && !(err instanceof AccessRefused)) {
      request.log.info({ code: err.code, caller: request.caller, req: request }, 'request refused')
    } else {
      // Logs only the code: a parser's message may quote the body, and bodies hold tokens.
      refuse(request, err.code)
    }
    return reply.code(status).send(errorBody(status, explains ? explain(err) : undefined))
  })
}, { name: 'errors' })

/** Every client error gets a 400, except for these, which have their own entries in the error table. */
function publicStatus ({ statusCode = 500 }: { statusCode?: number }): ErrorStatus {
  if (statusCode === 401 || statusCode === 403 || statusCode === 404 || statusCode === 409) return statusCode
  return statusCode >= 400 && statusCode < 500 ? 400 : 500
}

/** Whether the client broke the connection while a body was read. Our own answer to bytes that are no HTTP causes the same error. */
function isBrokenOff (err: object, { raw: { socket } }: FastifyRequest): boolean {
  return 'code' in err && err.code === 'ECONNRESET' && !socket.writableEnded
}

/**
 * Detail for a trusted caller: which field is wrong and why, without its value; which scope is missing; or that a change is made
 * but may be lost.
 */
function explain ({ validation, validationContext, code, message }: FastifyError): string | undefined {
  if (code === 'RTS_NOT_REPLICATED' || code === 'RTS_AUTHENTICATED_AHEAD' || code === 'RTS_FORBIDDEN') return message
  const first = validation?.[0]
  return first === undefined ? undefined : `${validationContext}${first.instancePath} ${first.message}`
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Requests of this listener that were turned away. */
    turnedAway: RejectionLog<TurnedAwayReason>
    /** Refused requests of this listener without a token of ours, by error code; `forged` counts refresh tokens. */
    refused: RejectionLog
  }
  interface FastifyContextConfig {
    /** Whether a 400 says which field is wrong: for callers behind the API key. */
    explains?: boolean
    /** The metric that counts this route's answers by outcome: for the requests of clients. */
    counts?: 'refreshes' | 'logouts'
  }
}
