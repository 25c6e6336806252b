import type { RequestListener, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Maximum number of requests that wait behind another on a connection. Clients with pipelining sent 10 (apt) to 32 (Firefox). */
const MAX_WAITING = 32

/** Returned from `onIncoming` to ignore all later bytes (llhttp's `on_headers_complete`, HPE_PAUSED_UPGRADE). */
const IGNORE_REST = 2

/**
 * Handles at most `MAX_WAITING` pipelined requests on a connection. Node parses all bytes of one read, which may be
 * thousands of tiny requests, and keeps their answers for a client that may never read them.
 * `onSurplus` gets the first response beyond the limit and must end its connection; later bytes become no requests.
 */
export function limitPipelining (server: Server, onSurplus: (response: ServerResponse) => void): void {
  const waiting = new WeakMap<Socket, number>()
  const [handle] = server.listeners('request') as [RequestListener]
  server.removeListener('request', handle)
  server.on('request', (request, response) => {
    // Node assigns the socket to one response at a time, so a response with a socket is not waiting. Nearly all requests end here.
    if (response.socket !== null) return handle(request, response)

    const { socket } = request
    const count = (waiting.get(socket) ?? 0) + 1
    waiting.set(socket, count)
    if (count <= MAX_WAITING) {
      response.once('close', () => { waiting.set(socket, waiting.get(socket)! - 1) })
      handle(request, response)
    } else if (count === MAX_WAITING + 1) {
      ignoreRest(socket)
      onSurplus(response)
    }
  })
}

/**
 * Keeps Node from parsing the thousands of requests that may follow in the current read. `parser` is an internal of Node:
 * if it is missing, the requests are parsed, and nothing else changes.
 */
function ignoreRest (socket: Socket): void {
  const { parser } = socket as { parser?: object | null }
  Object.assign(Object(parser), { onIncoming: () => IGNORE_REST })
}
