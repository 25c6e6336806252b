import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Test } from 'tap'

export const portOf = (url: string): number => Number(new URL(url).port)

/** Opens a connection; an error closes it. */
export function open (t: Test, port: number, localAddress = '127.0.0.1'): Socket {
  const socket = connect({ port, host: '127.0.0.1', localAddress }).on('error', () => {})
  t.teardown(() => { socket.destroy() })
  return socket
}

/** Opens connections, and returns those that the service did not close at once. */
export async function openMany (t: Test, port: number, count: number): Promise<Socket[]> {
  const sockets = Array.from({ length: count }, () => open(t, port).setEncoding('latin1'))
  await Promise.all(sockets.map(async socket => {
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await Promise.race([once(socket, 'data'), once(socket, 'close')]).catch(() => {})
  }))
  return sockets.filter(({ destroyed, readableEnded }) => !destroyed && !readableEnded)
}

/** Sends a mebibyte of requests on each of many connections and reads nothing. */
export function pipelineUnread (t: Test, port: number, path: string, connections: number): void {
  const request = `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
  const requests = Buffer.from(request.repeat(2 ** 20 / request.length))
  for (let i = 0; i < connections; i++) open(t, port).pause().write(requests)
}
