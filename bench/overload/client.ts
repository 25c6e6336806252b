import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { DEVICE_ID } from '../harness/contenders.ts'

/** One client with one keep-alive connection. It handles raw bytes, so that the load costs little compared to the service. */
export interface Client {
  /** Opens a new connection and closes any old one, because the service closes idle connections. */
  connect (): Promise<void>
  /** Starts a new connection without waiting for it, as a browser does: the first request then waits. */
  connectLater (): void
  /** Sends one refresh and keeps the new token. */
  refresh (): Promise<Answer>
  close (): void
}

export interface Answer {
  /** 0 when the connection ended without an answer. */
  status: number
  /** Milliseconds from sending to the last byte of the answer. */
  ms: number
}

export function createClient (port: number, token: string): Client {
  let socket: Socket
  let received = ''
  let answered: (status: number) => void = () => {}

  const onData = (chunk: string): void => {
    received += chunk
    const head = received.indexOf('\r\n\r\n')
    if (head === -1 || received.length < head + 4 + Number(/content-length: (\d+)/i.exec(received)![1])) return
    answered(Number(received.slice(9, 12)))
  }

  const client: Client = {
    connectLater () {
      client.close()
      const mine = socket = connect({ port, host: '127.0.0.1', noDelay: true }).setEncoding('latin1')
      socket.on('error', () => {}).on('data', onData).on('close', () => { if (socket === mine) answered(0) })
    },

    async connect () {
      client.connectLater()
      await once(socket, 'connect')
    },

    async refresh () {
      const body = JSON.stringify({ deviceId: DEVICE_ID, refreshToken: token })
      received = ''
      const sent = performance.now()
      socket.write('POST /api/ps/refresh HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n' +
        `Content-Length: ${body.length}\r\n\r\n${body}`)
      const status = socket.destroyed ? 0 : await new Promise<number>(resolve => { answered = resolve })
      if (status === 200) token = /"refreshToken":"([^"]+)"/.exec(received)![1]!
      return { status, ms: performance.now() - sent }
    },

    close: () => socket?.destroy()
  }
  return client
}
