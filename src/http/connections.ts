import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/** Milliseconds between checks of all connections. Limits count checks, not seconds: clients must not pay for a stall of the process. */
const LOOK = 1000

/** Maximum number of checks in a row in which a client reads less than `PROGRESS` of its pending answers. */
const PATIENCE = 10

/** Bytes a client must read within `PATIENCE` checks: 6.4 KB a second, enough for a file of the API page over the slowest network. */
const PROGRESS = 64 * 1024

/** Number of checks for which a connection stays open after the last byte is sent, so that its client can read the answer. */
const LINGER = 2

/** Checks that found the socket stuck in a row, checks that found it finished, and the bytes the kernel had taken at the last progress. */
interface Record { stuck: number, taken: number, finished: number }

export interface Connections {
  /** Checks all connections; runs every `LOOK` milliseconds. */
  look (): void
  /** Ends connections that are finished on our side and were already so at an earlier check or call. */
  endFinished (): void
}

/**
 * Ends connections whose clients read no answers, or do not close after our side has.
 * Node's own `server.timeout` is unreliable for both: it may take twice its time, and a byte a minute postpones it for ever.
 */
export function watchConnections (server: Server, onStuck: () => void): Connections {
  const connections = new Map<Socket, Record>()

  function isFinished (socket: Socket, record: Record): boolean {
    return socket.writableFinished && ++record.finished >= LINGER
  }

  function isStuck (socket: Socket, record: Record): boolean {
    const taken = socket.bytesWritten - socket.writableLength
    if (socket.writableLength === 0 || taken - record.taken >= PROGRESS) {
      record.stuck = 0
      record.taken = taken
    }
    return socket.writableLength > 0 && ++record.stuck > PATIENCE
  }

  function look (): void {
    for (const [socket, record] of connections) {
      if (isFinished(socket, record)) {
        socket.destroy()
      } else if (isStuck(socket, record)) {
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
    const timer = setInterval(look, LOOK).unref()
    server.once('close', () => { clearInterval(timer) })
  })
  return {
    look,
    endFinished () {
      for (const [socket, record] of connections) if (isFinished(socket, record)) socket.destroy()
    }
  }
}
