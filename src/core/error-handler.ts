import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { RefusedToken } from '#src/audit/audit'
import { JSON_TYPE } from '#src/http/json'
import type { LogoutOutcome, RefreshOutcome } from '#src/metrics/definitions'
import { refusedOutcome } from '#src/metrics/outcomes'
import type { RejectionLog } from '#src/overload/rejection-log'
import { Aborted, AccessRefused, errorBody, RefreshRefused, StoreUnavailable, TurnedAway, type ErrorStatus, type TurnAwayReason } from '#src/errors'

const aborted = new Aborted()

/**
 * `redis`: the request was admitted, but Redis failed. The next three close a connection: its address has too many, too
 * many requests wait on it, or its client does not read the answers.
 */
export type TurnedAwayReason = TurnAwayReason | 'redis' | 'address_connections' | 'pipelined' | 'unread'

/** Counters and log lines of the error handler. */
export interface Reporter {
  /** Requests that were turned away. */
  turnedAway: RejectionLog<TurnedAwayReason>
  /** Refused requests without a token of ours, by error code; `forged` counts refresh tokens. */
  refused: RejectionLog
  /** Counts an answer of a route with `counts`. */
  count (route: 'refreshes' | 'logouts', outcome: RefreshOutcome | LogoutOutcome): void
  /** Receives an authentic token that was refused. */
  refusedToken (token: RefusedToken): void
}

export type AnsweredError = FastifyError | RefreshRefused | TurnedAway

/** An error, and the decision about it. */
export interface Refusal {
  err: AnsweredError
  status: ErrorStatus
  /** Of the route. */
  counts: 'refreshes' | 'logouts' | undefined
  /** For a trusted caller. */
  detail: string | undefined
}

/** An answer to an error. */
export interface ErrorAnswer {
  status: number
  headers?: Record<string, string>
  body: object
}

/** Writes a refusal as one face of the service answers it. */
export type WriteError = (refusal: Refusal) => ErrorAnswer

const documented: WriteError = ({ status, detail }) => ({ status, body: errorBody(status, detail) })

/**
 * Creates the handler that answers every error, and logs or counts it. A client never gets an error's message, unless it comes
 * from our own schemas or error classes, on a route behind the API key. The answer is sent as a text, so that no serializer of
 * the app around the route changes it. `write` formats the answer: as the service's own error, or as OAuth's.
 */
export function createErrorHandler ({ turnedAway, refused, count, refusedToken }: Reporter, write = documented) {
  /** For refusals that need no token of ours, so anybody can cause them. At `info`, one line a second has all counts. */
  function refuse ({ log }: FastifyRequest, reason: string): void {
    refused.count(reason)
    log.debug({ reason }, 'request refused')
  }

  return function (
    this: FastifyInstance, error: AnsweredError, request: FastifyRequest, reply: FastifyReply
  ): FastifyReply {
    const err = isBrokenOff(error, request) ? aborted : error
    const status = publicStatus(err)
    const { explains = false, counts, answerRefused } = request.routeOptions.config
    const answer = (detail?: string): FastifyReply => {
      const written = write({ err, status, counts, detail })
      return reply.code(written.status).headers({ 'cache-control': 'no-store', 'content-type': JSON_TYPE, ...written.headers })
        .send(JSON.stringify(written.body))
    }

    if (counts !== undefined) count(counts, refusedOutcome(err, status))
    if (err instanceof TurnedAway) {
      turnedAway.count(err.reason)
      reply.header('retry-after', err.retryAfter)
      return answer()
    }
    if (err instanceof RefreshRefused) {
      const { outcome, userId, sid } = err
      const refusal = counts === 'logouts' ? 'log-out refused' : 'refresh refused'
      const message = status === 400 ? refusal : `${refusal}; too few replicas have the end of its session`
      if (sid === undefined) {
        refuse(request, outcome)
      } else {
        refusedToken({ userId: userId!, sid, reason: outcome, reqId: request.id })
        // `reused` comes once for a session, because it ends; the audit trail limits the lines of the others.
        request.log[outcome === 'reused' ? 'warn' : 'debug']({ outcome, userId, sid }, message)
      }
      return status === 400 && answerRefused !== undefined ? answerRefused(reply) : answer()
    }
    if (status === 500) {
      const isOneOfMany = !explains && err instanceof StoreUnavailable && !turnedAway.count('redis')
      if (!isOneOfMany) request.log.error({ err, req: request }, 'request failed')
    } else if (explains && !(err instanceof AccessRefused)) {
      request.log.info({ code: err.code, caller: request.caller, req: request }, 'request refused')
    } else {
      // Logs only the code: a parser's message may quote the body, and bodies hold tokens.
      refuse(request, err.code)
    }
    return answer(explains ? explain(err) : undefined)
  }
}

/** Client errors that have entries of their own in the error table; every other one gets a 400. */
const ownEntries: readonly number[] = [401, 403, 404, 409, 429]

function publicStatus ({ statusCode = 500 }: { statusCode?: number }): ErrorStatus {
  if (ownEntries.includes(statusCode)) return statusCode as ErrorStatus
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
  if (code === 'RTS_NOT_REPLICATED' || code === 'RTS_AUTHENTICATED_AHEAD' || code === 'RTS_FORBIDDEN' || code === 'RTS_PROOFS_OFF') return message
  const first = validation?.[0]
  return first === undefined ? undefined : `${validationContext}${first.instancePath} ${first.message}`
}
