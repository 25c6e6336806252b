import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { errorBody } from './errors.ts'
import { countUnread } from '#src/metrics/requests'

/** An answer after which the connection ends. */
interface LastAnswer {
  bytes: string
  /** How the refresh ends that it may have been. */
  outcome: 'malformed' | 'overloaded'
  /** The response that it takes the place of; none when no request was read. */
  insteadOf?: ServerResponse
}

function toBytes (status: 400 | 500, reason: string): string {
  const body = JSON.stringify(errorBody(status))
  return `HTTP/1.1 ${status} ${reason}\r\nConnection: close\r\nCache-Control: no-store\r\n` +
    `Content-Type: application/json; charset=utf-8\r\nContent-Length: ${body.length}\r\n\r\n${body}`
}

const malformed: LastAnswer = { bytes: toBytes(400, 'Bad Request'), outcome: 'malformed' }
const late: LastAnswer = { bytes: toBytes(500, 'Internal Server Error'), outcome: 'malformed' }

/** Connections that a last answer is going to end, or has ended. */
const ending = new WeakSet<Socket>()

/**
 * Answers bytes that Node could not parse as HTTP, or that did not come in time: there is no request, so the answer is
 * written by hand. When they follow whole requests on the same connection, those are answered first: they may have
 * rotated tokens, and no client must take the 400 for its own.
 *
 * What is late may be so by a bad network, or by a replica that stood still while it lay in the system's buffers: the
 * client is told to try again. Where nothing came at all, as on the connections that browsers open ahead, nothing is
 * said, or it would be taken for the answer to the request that is just being sent.
 */
export function answerBrokenHttp (this: FastifyInstance, err: NodeJS.ErrnoException, socket: Socket): void {
  if (err.code === 'ECONNRESET' || !socket.writable || ending.has(socket)) return
  if (socket.bytesRead === 0) {
    socket.destroy()
    return
  }
  this.refused.count(String(err.code))
  end(this, socket, err.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? late : malformed)
}

/**
 * Ends a connection on which too many requests wait: after their answers this response and all behind it are replaced by a
 * 500, so that the client tries again.
 */
export function answerSurplus (app: FastifyInstance, insteadOf: ServerResponse): void {
  app.turnedAway.count('pipelined')
  end(app, insteadOf.req.socket, { bytes: late.bytes, outcome: 'overloaded', insteadOf })
}

function end (app: FastifyInstance, socket: Socket, last: LastAnswer): void {
  ending.add(socket)
  // Nothing more becomes a request, but all is read: closing a connection with unread bytes resets it, and its client may
  // lose the answer (RFC 9112 section 9.6). src/http/connections.ts closes it when the answer has gone.
  socket.removeAllListeners('data').on('data', () => {}).resume()
  endAfterAnswers(app, socket, last)
}

/** Node keeps the response that is due on a connection there, and those of pipelined requests one after the other. */
function endAfterAnswers (app: FastifyInstance, socket: Socket, last: LastAnswer): void {
  const { _httpMessage: due } = socket as { _httpMessage?: ServerResponse | null }
  if (due?.req.complete === true && due !== last.insteadOf) {
    due.once('close', () => { endAfterAnswers(app, socket, last) })
    return
  }
  // When they are in the middle of a request, that one fails too, and its route counts it.
  if (due?.req.complete !== false) countUnread(app.metrics, app.surface, last.outcome)
  socket.end(last.bytes)
}
