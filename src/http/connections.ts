import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/** Milliseconds between two looks at all connections. Looks are counted, not seconds: a process that stood still blames no client. */
const LOOK = 1000

/** Looks during which a client may take less than `PROGRESS` of the answers that wait for it. */
const PATIENCE = 10

/** Bytes; 6.4 KB a second load a file of the API page over the slowest network. */
const PROGRESS = 64 * 1024

/** Looks that a connection may stay open after our last byte, so that its client reads the answer before the end. */
const LINGER = 2

/** How many looks in a row found the socket so, and the bytes that the system had taken when answers began to wait. */
interface Record { stuck: number, taken: number, finished: number }

export interface Connections {
  /** What happens every `LOOK` milliseconds. */
  look (): void
  /** Ends the connections that are finished on our side and that an earlier look or call found so already. */
  endFinished (): void
}

/**
 * Ends connections whose clients hold them for no purpose: they read no answers, or ignore our end of the connection.
 * Node's own `server.timeout` ends neither for sure: it may take twice its time, and a byte a minute puts it off for ever.
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
        // The system would go on trying to send what it has, up to megabytes a connection.
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
