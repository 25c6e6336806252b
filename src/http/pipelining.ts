import type { RequestListener, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Requests that may wait behind another one on their connection. Clients that pipelined sent 10 (apt) to 32 (Firefox). */
const MAX_WAITING = 32

/** From `onIncoming`: ignore all bytes that follow (llhttp's `on_headers_complete`, HPE_PAUSED_UPGRADE). */
const IGNORE_REST = 2

/**
 * Answers no more than `MAX_WAITING` requests that came behind another one: Node makes requests of all bytes that it
 * reads at once, thousands of a few bytes each, and keeps their answers for a client that may never read them.
 * `onSurplus` gets the first response above that and has to end its connection; no later bytes become requests.
 */
export function limitPipelining (server: Server, onSurplus: (response: ServerResponse) => void): void {
  const waiting = new WeakMap<Socket, number>()
  const [handle] = server.listeners('request') as [RequestListener]
  server.removeListener('request', handle)
  server.on('request', (request, response) => {
    // Node gives the socket to one response at a time, so this one is the first: nearly every request is.
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
 * Spares Node the thousands of requests that may follow in the bytes that it is reading. The parser is Node's own affair:
 * without one there, nothing is spared and nothing else changes.
 */
function ignoreRest (socket: Socket): void {
  const { parser } = socket as { parser?: object | null }
  Object.assign(Object(parser), { onIncoming: () => IGNORE_REST })
}
