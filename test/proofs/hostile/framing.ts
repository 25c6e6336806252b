import { between, pick, type Random } from '../../support/random.ts'
import { ask, type Attack, type Kinds } from './attack.ts'
import { otherDevice, type Targets } from './targets.ts'
import { JSON_TYPE, REFRESH, refreshing, request } from './wire.ts'

/** Bytes that are not HTTP, and HTTP (RFC 9112) that two parsers could read differently. */

const raw = (text: string): Buffer => Buffer.from(text, 'latin1')

/** A well-formed request to be refused: an authentic token from another device. */
function wellFormed (random: Random, { bystanders }: Targets): Buffer {
  const target = pick(random, bystanders)
  return refreshing({ deviceId: otherDevice(target), refreshToken: target.refreshToken })
}

/** A refresh with these header lines instead of a Content-Length; `rest` follows unchanged. */
const framed = (lines: string[], rest = '2\r\n{}\r\n0\r\n\r\n', version = '1.1'): Buffer =>
  raw([`POST ${REFRESH} HTTP/${version}`, 'Host: a', JSON_TYPE, ...lines, '', rest].join('\r\n'))

const bytes = (random: Random, length: number): Buffer => Buffer.from(Array.from({ length }, () => between(random, 0, 255)))

/** Mutated bytes: they may be a request for another path, an unfinished request, or no request. */
const unsure = (...pieces: Buffer[]): Attack => ({ pieces, then: 'end', may: [400, 404], mayBeSilent: true })

/** A second request where the first should end: it must not be answered. */
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'

/** The service must answer once and read no further, even if a second parser would see another request. */
const refused = (bytes: Buffer): Attack => ({ ...ask(bytes), exactly: 1 })

const LENGTHS = [
  ['Content-Length: 2', 'Content-Length: 2'], ['Content-Length: 2', 'Content-Length: 40'], ['Content-Length: 2, 2'],
  ['Content-Length: +2'], ['Content-Length: -2'], ['Content-Length: 0x2'], ['Content-Length: 2.0'],
  ['Content-Length: 2 2'], ['Content-Length:'], ['Content-Length: x'], ['Content-Length: 99999999999999999999999'],
  ['Content-Length: 18446744073709551618'], ['Content-Length : 2'], ['Content-Length: 2;'], ['Content-Length: \u00b2']
]

const CODINGS = [
  ['Content-Length: 2', 'Transfer-Encoding: chunked'], ['Transfer-Encoding: chunked', 'Content-Length: 2'],
  ['Transfer-Encoding: xchunked'], ['Transfer-Encoding: chunked, identity'], ['Transfer-Encoding: identity'],
  ['Transfer-Encoding : chunked'], ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'],
  ['Transfer-Encoding: chunked', 'Transfer-Encoding: x'], ['Transfer-Encoding: "chunked"'], ['Transfer-Encoding: chunked;a=b'],
  ['Transfer-Encoding:', ' chunked'], ['Transfer-Encoding: \u000bchunked'], ['X: a\nTransfer-Encoding: chunked'],
  ['Transfer-Encoding: chunked\u0000']
]

const CHUNKS = [
  '-2\r\n{}\r\n0\r\n\r\n', '0x2\r\n{}\r\n0\r\n\r\n', 'FFFFFFFFFFFFFFFFF\r\n{}', ' 2\r\n{}\r\n0\r\n\r\n', '2\n{}\n0\n\n',
  '2\r\n{}0\r\n\r\n', '2\r\n{}\r\r\n0\r\n\r\n', '\r\n', 'g\r\n', '2;a="b\r\n{}\r\n0\r\n\r\n', '2 \u0000\r\n{}\r\n0\r\n\r\n',
  `2;${'a'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`, '2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n',
  '2\r\n{}\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n', '2\r\n{}\r\n0\r\nX\r\n\r\n', `2\r\n{}\r\n0\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`,
  '1\r\n{\r\n1\r\n}\r\n0\r\n\r\n', '00000002\r\n{}\r\n000\r\n\r\n', '2;a=b\r\n{}\r\n0\r\nX: a\r\n\r\n'
]

/** Unusual and invalid header lines. */
const HEADERS = [
  'X: a\r\n b', 'X: a\r\n\tb', 'X: a\nY: b', 'X: a\rY: b', 'X', ': a', ' X: a', 'X : a', 'X\u0000: a', 'X: \u0000', 'X: \u007f',
  'X: \u00ff\u0080', '\u00e9: a', 'X(): a', 'X: ', 'X:a', 'Host: b', 'Host: a b', 'Host: [::1', 'Host:', 'Host: \u00e9',
  '__proto__: a', 'constructor: a', 'Content-Type: application/json\r\nContent-Type: text/plain', 'X-Request-Id: \u00ff',
  'X-Request-Id: {"level":60}', 'traceparent: 00-x', 'X-Forwarded-For: 127.0.0.1', 'X-HTTP-Method-Override: DELETE',
  'Cookie: a=b; a=c', 'Authorization: Bearer', 'Accept-Encoding: *;q=x', 'Range: bytes=0-', 'Origin: null', 'Expect: 100-continue',
  'Expect: 101', 'Connection: close, keep-alive', 'Connection: \u00e9', 'Keep-Alive: timeout=999999', 'Max-Forwards: 0'
]

const TARGETS = [
  'http://a/api/ps/refresh', 'https://user:pass@a/api/ps/refresh', '//a/api/ps/refresh', '*', '', 'a:443', '/%zz', '/%', '/%00',
  '/\u00ff', '/..', '/../../etc/passwd', '/api/ps/../ps/refresh', '/api//ps/refresh', '/api/ps/refresh/', '/API/PS/REFRESH',
  '/api/ps/refresh;a=b', '/api/ps/refresh%2f', '/api/ps%2frefresh', '/api/ps/refresh#a', '/api/ps/refresh?a=%zz', '\\', '/\\',
  '/ HTTP/1.1 /', '/\t', `/${'a'.repeat(9000)}`, `/?${'a=b&'.repeat(3000)}`, '/healthz', '/metrics', '/internal/sessions', '/docs',
  '/__proto__'
]

const METHODS = [
  'GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'QUERY', 'PROPFIND', 'SOURCE', 'PURGE', 'M-SEARCH', 'post', 'P\u00d6ST',
  'FOO', 'POST\u0000', ' POST', '', 'PRI', 'GET,POST', 'A'.repeat(5000)
]

const VERSIONS = [
  'HTTP/1.0', 'HTTP/0.9', 'HTTP/2.0', 'HTTP/1.2', 'HTTP/1.10', 'HTTP/9.9', 'HTTP/1', 'http/1.1', 'HTTP /1.1', 'HTTPS/1.1', 'RTSP/1.0',
  'ICE/1.0', '', 'HTTP/1.1 x'
]

const startLine = (random: Random): string => `${pick(random, METHODS)} ${pick(random, TARGETS)} ${pick(random, VERSIONS)}`

const cut = (whole: Buffer, random: Random): Buffer => whole.subarray(0, between(random, 1, whole.length - 1))

export const raws: Kinds = {
  'by chance': random => unsure(bytes(random, between(random, 1, pick(random, [4, 100, 20_000])))),
  'by chance, behind a beginning': random => {
    const beginning = pick(random, ['POST ', 'GET / HTTP/1.1\r\n', '\r\n', `POST ${REFRESH} HTTP/1.1\r\nContent-Length: 50\r\n\r\n`])
    return unsure(Buffer.concat([raw(beginning), bytes(random, between(random, 1, 200))]))
  },
  'a request with a few bytes changed': (random, targets) => {
    const changed = Buffer.from(wellFormed(random, targets))
    for (let i = between(random, 1, 4); i > 0; i--) {
      changed[between(random, 0, changed.length - 1)] = pick(random, [0, 9, 10, 13, 32, 34, 58, 92, 127, 255, between(random, 0, 255)])
    }
    return unsure(changed)
  },
  'a piece of a request twice, or left out': (random, targets) => {
    const whole = wellFormed(random, targets)
    const [from, to] = [between(random, 0, whole.length), between(random, 0, whole.length)]
    return unsure(Buffer.concat([whole.subarray(0, from), whole.subarray(to)]))
  },
  'another protocol': random => unsure(raw(pick(random, [
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\u0000\u0000\u0000\u0004\u0000\u0000\u0000\u0000\u0000',
    '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003', '*1\r\n$8\r\nFLUSHALL\r\n', 'EHLO a\r\n', 'SSH-2.0-a\r\n',
    'PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n', '{}\n'
  ])))
}

export const http: Kinds = {
  'a start line': random => unsure(raw(`${startLine(random)}\r\n${pick(random, HEADERS)}\r\nConnection: close\r\n\r\n`)),
  'a header': (random, targets) => {
    const [head, ...rest] = wellFormed(random, targets).toString('latin1').split('\r\n')
    return { ...ask(raw([head, pick(random, HEADERS), ...rest].join('\r\n'))), exactly: 1 }
  },
  'a header of many bytes or lines': (random, targets) => {
    const [head, ...rest] = wellFormed(random, targets).toString('latin1').split('\r\n')
    const big = pick(random, [
      `X: ${'x'.repeat(between(random, 15_000, 17_000))}`, `${'x'.repeat(20_000)}: a`, `Cookie: ${'a=b; '.repeat(4000)}`,
      Array(between(random, 100, 2500)).fill('a: b').join('\r\n')
    ])
    return ask(raw([head, big, ...rest].join('\r\n')))
  },
  'a Content-Length': random => refused(framed(pick(random, LENGTHS), `{}${SMUGGLED}`)),
  'a Transfer-Encoding': random => refused(framed(pick(random, CODINGS), pick(random, ['2\r\n{}\r\n0\r\n\r\n', `0\r\n\r\n${SMUGGLED}`]))),
  'a Transfer-Encoding in HTTP/1.0': () => refused(framed(['Transfer-Encoding: chunked'], undefined, '1.0')),
  chunks: random => ask(framed(['Transfer-Encoding: chunked'], pick(random, CHUNKS))),
  'chunks without an end': random =>
    refused(framed(['Transfer-Encoding: chunked'], `9c40\r\n${'x'.repeat(between(random, 33_000, 40_000))}\r\n`)),
  'a body that is announced too large': random =>
    refused(framed([`Content-Length: ${pick(random, [32_769, 2 ** 31, 2 ** 53 - 1])}`], '{}')),
  'many at once, with bytes behind': (random, targets) => {
    const count = between(random, 2, 20)
    const rest = pick(random, ['', 'x', '\u0000', 'GARBAGE\r\n\r\n'])
    const answers = count + (rest === '' ? 0 : 1)
    const requests = Array.from({ length: count }, () => wellFormed(random, targets))
    return { ...ask(Buffer.concat([...requests, raw(rest)])), count: answers, exactly: answers }
  },
  'a byte at a time': (random, targets) => {
    const whole = wellFormed(random, targets)
    const at = between(random, 0, whole.length - 20)
    return ask(whole.subarray(0, at), ...Array.from({ length: 20 }, (_, i) => whole.subarray(at + i, at + i + 1)), whole.subarray(at + 20))
  },
  'hung up before the end': (random, targets) => ({ ...unsure(cut(wellFormed(random, targets), random)), may: [400] }),
  'hung up at the end': (random, targets) => ({ ...unsure(wellFormed(random, targets)), may: [400] }),
  'reset at any time': (random, targets) => {
    const whole = wellFormed(random, targets)
    return { ...unsure(pick(random, [cut(whole, random), whole])), then: 'reset' }
  },
  'Expect and Upgrade': (random, targets) => {
    const [head, ...rest] = wellFormed(random, targets).toString('latin1').split('\r\n')
    const lines = pick(random, [
      ['Expect: 100-continue'], ['Expect: nonsense'], ['Connection: Upgrade', 'Upgrade: websocket'],
      ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__']
    ])
    return { ...ask(raw([head, ...lines, ...rest].join('\r\n'))), exactly: 1 }
  },
  CONNECT: random => {
    const target = pick(random, ['a:443', '127.0.0.1:6379', '/', 'a'])
    return { ...ask(raw(`CONNECT ${target} HTTP/1.1\r\nHost: a\r\n\r\n`)), mayBeSilent: true }
  },
  HEAD: random => ({ ...ask(request('HEAD', pick(random, [REFRESH, '/', '/healthz']))), bodiless: true, may: [404], exactly: 1 }),
  'another path or method': random => {
    const path = pick(random, [REFRESH, '/', '/internal/sessions', '/metrics', '/docs/static/..%2f..%2fpackage.json'])
    return { ...ask(request(pick(random, ['GET', 'PUT', 'DELETE', 'OPTIONS', 'TRACE']), path, [JSON_TYPE], '{}')), may: [404], exactly: 1 }
  }
}

/** Requests that exceed `REQUEST_TIMEOUT`: 500, so that a client on a bad network tries again. */
export const late: Attack[] = [
  raw('POST'), raw(`POST ${REFRESH} HTTP/1.1\r\nHost: a\r\n`),
  framed(['Content-Length: 50'], '{"deviceId":"a"'), framed(['Transfer-Encoding: chunked'], '5\r\n{"a"'), raw('GET / HTTP/1.1\r\nX: ')
].map(bytes => ({ pieces: [bytes], then: 'wait', may: [500], exactly: 1 }))

/** A connection without a request is closed without an answer. */
export const idle: Attack = { pieces: [], then: 'wait', may: [], mayBeSilent: true, exactly: 0 }
