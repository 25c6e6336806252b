import { connect, type Socket } from 'node:net'
import type { Protocol } from './protocol.ts'
import { createProve } from './proofs.ts'

/** Receives the next token, or the reason why the answer was wrong. */
export type Done = (next: string | undefined, wrong?: string) => void

/**
 * One keep-alive connection with at most one request in flight, as minimal as HTTP/1.1 allows: the generator shares its core
 * with Redis and must never be the bottleneck.
 */
export class Connection {
  readonly #socket: Socket
  readonly #head: string
  readonly #bodyLength: number
  readonly #protocol: Protocol
  readonly #mark: string
  /** Makes the header `DPoP` of a request; the rest of the head follows it. */
  readonly #prove: (() => string) | undefined
  #received = ''
  #sent = ''
  #done: Done | undefined

  private constructor (socket: Socket, host: string, protocol: Protocol) {
    this.#socket = socket
    this.#protocol = protocol
    this.#mark = `"${protocol.field}":"`
    this.#prove = protocol.provenUrl === undefined ? undefined : createProve(protocol.provenUrl)
    const headers = Object.entries({ Host: host, 'Content-Type': protocol.contentType, ...protocol.headers })
    this.#head = `POST ${protocol.path} HTTP/1.1\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}`
    this.#bodyLength = protocol.before.length + protocol.after.length
    socket.setNoDelay(true)
    socket.setEncoding('latin1')
    socket.on('data', chunk => { this.#take(String(chunk)) })
    socket.on('error', () => {})
    socket.on('close', () => { this.#finish(undefined, 'the connection was closed') })
  }

  static async open (url: string, protocol: Protocol): Promise<Connection> {
    const { hostname, port, host } = new URL(url)
    return await new Promise((resolve, reject) => {
      const socket = connect(Number(port), hostname, () => { resolve(new Connection(socket, host, protocol)) })
      socket.once('error', reject)
    })
  }

  /** Sends a token; calls `done` once, with the next token. */
  refresh (token: string, done: Done): void {
    const { before, after } = this.#protocol
    this.#sent = token
    this.#done = done
    if (this.#socket.destroyed) return this.#finish(undefined, 'the connection was closed')
    const proof = this.#prove === undefined ? '' : `DPoP: ${this.#prove()}\r\n`
    this.#socket.write(`${this.#head}${proof}Content-Length: ${this.#bodyLength + token.length}\r\n\r\n${before}${token}${after}`, 'latin1')
  }

  close (): void {
    this.#socket.destroy()
  }

  #take (chunk: string): void {
    const text = this.#received === '' ? chunk : this.#received + chunk
    const body = completeBody(text)
    if (body === undefined) {
      this.#received = text
      return
    }
    this.#received = ''
    if (!text.startsWith('HTTP/1.1 200 ')) return this.#finish(undefined, text)
    const start = body.indexOf(this.#mark) + this.#mark.length
    const next = body.slice(start, body.indexOf('"', start))
    const isNext = start >= this.#mark.length && next.length > 20 && (next !== this.#sent) === this.#protocol.rotates
    this.#finish(isNext ? next : undefined, isNext ? undefined : text)
  }

  #finish (next: string | undefined, wrong?: string): void {
    const done = this.#done
    this.#done = undefined
    done?.(next, wrong)
  }
}

/** Returns the body of a complete answer, else `undefined` (RFC 9112 section 6.3: by length, or in chunks). */
function completeBody (text: string): string | undefined {
  const end = text.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const head = text.slice(0, end)
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)
  const body = text.slice(end + 4)
  if (length !== null) return body.length >= Number(length[1]) ? body : undefined
  return body.endsWith('\r\n0\r\n\r\n') ? body.replace(/(^|\r\n)[0-9a-f]+\r\n/gi, '') : undefined
}
