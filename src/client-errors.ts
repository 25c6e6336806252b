import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { errorBody } from './errors.ts'
import { countUnread } from '#src/metrics/requests'

/** The last answer on a connection, which then ends. */
interface LastAnswer {
  bytes: string
  /** Counted as the outcome of a refresh: on the public listener, unread bytes may have been one. */
  outcome: 'malformed' | 'overloaded'
  /** The response that this answer replaces; absent if no request was read. */
  insteadOf?: ServerResponse
}

function toBytes (status: 400 | 500, reason: string): string {
  const body = JSON.stringify(errorBody(status))
  return `HTTP/1.1 ${status} ${reason}\r\nConnection: close\r\nCache-Control: no-store\r\n` +
    `Content-Type: application/json; charset=utf-8\r\nContent-Length: ${body.length}\r\n\r\n${body}`
}

const malformed: LastAnswer = { bytes: toBytes(400, 'Bad Request'), outcome: 'malformed' }
const late: LastAnswer = { bytes: toBytes(500, 'Internal Server Error'), outcome: 'malformed' }

/** Connections with a last answer, pending or sent. */
const ending = new WeakSet<Socket>()

/**
 * Answers bytes that Node could not parse as HTTP, or that did not arrive in time. There is no request to reply to, so
 * the answer is written to the socket. Earlier whole requests on the same connection are answered first: they may have
 * rotated tokens, and their client must not take the 400 for their answer.
 *
 * A late request gets a 500, so that its client tries again: the cause may be a bad network, or a replica that stood
 * still while the request lay in the kernel's buffers. A connection on which no byte arrived, such as one that a browser
 * opens ahead, is closed without an answer: the client would take it for the answer to a request that it is just sending.
 */
export function answerBrokenHttp (this: FastifyInstance, err: NodeJS.ErrnoException, socket: Socket): void {
  if (err.code === 'ECONNRESET' || !socket.writable || ending.has(socket)) return
  if (socket.bytesRead === 0) {
    socket.destroy()
    return
  }
  this.reporter.refused.count(String(err.code))
  end(this, socket, err.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? late : malformed)
}

/**
 * Ends a connection on which too many requests wait. The requests before `insteadOf` are answered; then one 500 replaces
 * that response and all later ones, so that the client tries again.
 */
export function answerSurplus (app: FastifyInstance, insteadOf: ServerResponse): void {
  app.reporter.turnedAway.count('pipelined')
  end(app, insteadOf.req.socket, { bytes: late.bytes, outcome: 'overloaded', insteadOf })
}

function end (app: FastifyInstance, socket: Socket, last: LastAnswer): void {
  ending.add(socket)
  // Later bytes are read and discarded: closing a connection with unread bytes resets it, and the client may lose the
  // answer (RFC 9112 section 9.6). src/http/connections.ts closes the connection once the answer is sent.
  socket.removeAllListeners('data').on('data', () => {}).resume()
  endAfterAnswers(app, socket, last)
}

/** Waits for each pending response in turn: Node keeps the one that is being sent in the socket's `_httpMessage`. */
function endAfterAnswers (app: FastifyInstance, socket: Socket, last: LastAnswer): void {
  const { _httpMessage: due } = socket as { _httpMessage?: ServerResponse | null }
  if (due?.req.complete === true && due !== last.insteadOf) {
    due.once('close', () => { endAfterAnswers(app, socket, last) })
    return
  }
  // If the body of the pending request is incomplete, that request fails too, and its route counts it.
  if (due?.req.complete !== false) countUnread(app.metrics, app.listener, last.outcome)
  socket.end(last.bytes)
}
