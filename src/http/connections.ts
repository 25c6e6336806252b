import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/** Milliseconds between checks of all connections. Limits count checks, not seconds: clients must not pay for a stall of the process. */
const CHECK_INTERVAL = 1000

/** Maximum number of checks in a row in which a client reads less than `MIN_PROGRESS` of its pending answers. */
const MAX_STUCK_CHECKS = 10

/** Bytes a client must read within `MAX_STUCK_CHECKS` checks: 6.4 KB a second, enough for the API page over the slowest network. */
const MIN_PROGRESS = 64 * 1024

/** Number of checks for which a connection stays open after the last byte is sent, so that its client can read the answer. */
const FINISHED_CHECKS = 2

/** Checks in a row that found the socket stuck, checks that found it finished, and the bytes the kernel had taken at the last progress. */
interface Progress { stuck: number, taken: number, finished: number }

export interface Connections {
  /** Checks all connections; runs every `CHECK_INTERVAL` milliseconds. */
  check (): void
  /** Ends connections that are finished on our side and were already so at an earlier check or call. */
  endFinished (): void
}

/**
 * Ends connections whose clients read no answers, or do not close after our side has.
 * Node's own `server.timeout` is unreliable for both: it may take twice its time, and a byte a minute postpones it for ever.
 */
export function watchConnections (server: Server, onStuck: () => void): Connections {
  const connections = new Map<Socket, Progress>()

  function isFinished (socket: Socket, progress: Progress): boolean {
    return socket.writableFinished && ++progress.finished >= FINISHED_CHECKS
  }

  function isStuck (socket: Socket, progress: Progress): boolean {
    const taken = socket.bytesWritten - socket.writableLength
    if (socket.writableLength === 0 || taken - progress.taken >= MIN_PROGRESS) {
      progress.stuck = 0
      progress.taken = taken
    }
    return socket.writableLength > 0 && ++progress.stuck > MAX_STUCK_CHECKS
  }

  function check (): void {
    for (const [socket, progress] of connections) {
      if (isFinished(socket, progress)) {
        socket.destroy()
      } else if (isStuck(socket, progress)) {
        onStuck()
        // A reset discards the kernel's send buffer; otherwise the kernel would keep trying to send it, up to megabytes a connection.
        socket.resetAndDestroy()
      }
    }
  }

  server.on('connection', socket => {
    connections.set(socket, { stuck: 0, taken: 0, finished: 0 })
    socket.once('close', () => { connections.delete(socket) })
  })
  server.once('listening', () => {
    const timer = setInterval(check, CHECK_INTERVAL).unref()
    server.once('close', () => { clearInterval(timer) })
  })
  return {
    check,
    endFinished () {
      for (const [socket, progress] of connections) if (isFinished(socket, progress)) socket.destroy()
    }
  }
}
