import { connect } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'

/** HTTP by hand: sends raw bytes, and parses the answers strictly. */

export interface Answer {
  status: number
  /** By name, in lower case. */
  headers: Map<string, string>
  body: string
}

export interface Sending {
  /** Each piece is written separately. */
  pieces: Buffer[]
  /**
   * The client's next step after sending: wait for `count` answers, then close (`answers`); close at once (`end`); reset the
   * connection (`reset`); or wait until the service closes (`wait`).
   */
  then: 'answers' | 'end' | 'reset' | 'wait'
  /** Number of answers to wait for. Default: 1. */
  count?: number
  /** Whether the answers have no body, as after HEAD. */
  bodiless?: boolean
}

/** Sends on a new connection. Returns all answers until the connection closes, except interim ones (1xx). */
export async function exchange (port: number, { pieces, then, count = 1, bodiless = false }: Sending): Promise<Answer[]> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  let received: Buffer = Buffer.alloc(0)
  let answers: Answer[] = []
  const closed = new Promise<void>(resolve => { socket.on('close', () => resolve()) })
  // The service may reset the connection: it does not read on after bytes that it refused.
  socket.on('error', () => {})
  socket.on('end', () => socket.end())
  socket.on('data', data => {
    received = Buffer.concat([received, data])
    const read = readAnswers(received, bodiless)
    answers = answers.concat(read.answers)
    received = read.rest
    if (then === 'answers' && answers.length >= count) socket.end()
  })
  for (const [i, piece] of pieces.entries()) {
    if (i > 0) await turn()
    if (socket.writable) socket.write(piece)
  }
  if (then === 'end') socket.end()
  if (then === 'reset') socket.end(() => { socket.resetAndDestroy() })
  await closed
  if (received.length > 0 && then !== 'reset') throw new Error(`bytes that are no answer: ${JSON.stringify(received.toString('latin1'))}`)
  return answers
}

/** Returns all complete answers at the beginning of the bytes, and the remaining bytes. */
function readAnswers (bytes: Buffer, bodiless: boolean): { answers: Answer[], rest: Buffer } {
  const answers: Answer[] = []
  for (;;) {
    const end = bytes.indexOf('\r\n\r\n')
    if (end === -1) return { answers, rest: bytes }
    const [first, ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n')
    const status = Number(/^HTTP\/1\.1 (\d{3}) [\w ]+$/.exec(first!)?.[1])
    if (!(status >= 100)) throw new Error(`no status line: ${JSON.stringify(first)}`)
    const headers = new Map(lines.map(line => {
      const [, name, value] = /^([\w-]+): (.*)$/.exec(line)!
      return [name!.toLowerCase(), value!]
    }))
    if (headers.size < lines.length) throw new Error(`a header twice: ${lines.join()}`)
    const hasBody = status >= 200 && status !== 204 && !bodiless
    const length = hasBody ? Number(headers.get('content-length')) : 0
    if (bytes.length < end + 4 + length) return { answers, rest: bytes }
    const body = bytes.subarray(end + 4, end + 4 + length).toString()
    if (status >= 200) answers.push({ status, headers, body })
    bytes = bytes.subarray(end + 4 + length)
  }
}

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

/** Formats a request; `lines` are added to the headers unchanged. */
export function request (method: string, target: string, lines: string[] = [], body: Buffer | string = ''): Buffer {
  const content = Buffer.from(body)
  const length = content.length > 0 || method === 'POST' ? [`Content-Length: ${content.length}`] : []
  return Buffer.concat([latin1([`${method} ${target} HTTP/1.1`, 'Host: a', ...lines, ...length, '', ''].join('\r\n')), content])
}

export const REFRESH = '/api/ps/refresh'

export const LOG_OUT = '/api/ps/logout'

export const JSON_TYPE = 'Content-Type: application/json'

/** Formats a refresh request with any body. */
export function refreshing (body: Buffer | string | object, lines = [JSON_TYPE]): Buffer {
  return request('POST', REFRESH, lines, typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body))
}
