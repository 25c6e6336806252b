import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { errorBody } from './errors.ts'
import { countUnreadable } from './metrics/requests.ts'

/** A whole answer, after which the connection ends. */
function toAnswer (status: 400 | 500, reason: string): string {
  const body = JSON.stringify(errorBody(status))
  return `HTTP/1.1 ${status} ${reason}\r\nConnection: close\r\nCache-Control: no-store\r\n` +
    `Content-Type: application/json; charset=utf-8\r\nContent-Length: ${body.length}\r\n\r\n${body}`
}

const malformed = toAnswer(400, 'Bad Request')
const late = toAnswer(500, 'Internal Server Error')

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
  if (err.code === 'ECONNRESET' || !socket.writable) return
  if (socket.bytesRead === 0) {
    socket.destroy()
    return
  }
  const answer = err.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? late : malformed
  this.refused.count(String(err.code))
  endAfterAnswers(this, socket, answer)
}

/** Node keeps the response that is due on a connection there, and those of pipelined requests one after the other. */
function endAfterAnswers (app: FastifyInstance, socket: Socket, answer: string): void {
  const { _httpMessage: due } = socket as { _httpMessage?: ServerResponse | null }
  if (due?.req.complete === true) {
    due.once('close', () => { endAfterAnswers(app, socket, answer) })
    return
  }
  // When they are in the middle of a request, that one fails too, and its route counts it.
  if (due?.req.complete !== false) countUnreadable(app.metrics, app.surface)
  socket.end(answer)
}
