import { between, pick, type Random } from '../../support/random.ts'
import { ask, type Attack, type Kinds, type Make } from './attack.ts'
import { otherDevice, type Own } from './targets.ts'
import { JSON_TYPE, refreshing } from './wire.ts'

/** Request bodies: broken or unusual JSON, no JSON, text that Unicode makes look alike, and sizes around every limit. */

interface Body { deviceId: string, refreshToken: string }

/** A bystander's authentic token from another device: the best that a thief without the device id can send. */
const stranger = (make: (body: Body, random: Random) => Buffer | string): Make => (random, { bystanders }) => {
  const target = pick(random, bystanders)
  return ask(refreshing(make({ deviceId: otherDevice(target), refreshToken: target.refreshToken }, random)))
}

/** The right token from the right device: the service may refuse only the change made to the request. */
const client = (make: (own: Own, random: Random) => Buffer | string, may = [200]): Make => (random, targets) => {
  const own = targets.take()
  return { ...ask(refreshing(make(own, random))), may, own }
}

/** Any JSON value, a few levels deep. */
function anything (random: Random, depth = 3): unknown {
  const scalars = [null, true, false, 0, -0, -1, 1e-400, 1.7e308, 2 ** 53 + 1, '', ' ', '\u0000', '\ud800', '\u0130']
  if (depth === 0 || random() < 0.5) return pick(random, scalars)
  const values = Array.from({ length: between(random, 0, 4) }, () => anything(random, depth - 1))
  if (random() < 0.5) return values
  return Object.fromEntries(values.map(value => [pick(random, ['deviceId', 'refreshToken', 'toString', 'length', 'then', 'a', '']), value]))
}

/** JSON values that are not strings. */
const NO_TEXT = [
  '1', '-0', '1e400', '-1e400', '9'.repeat(3000), '0.1e-999', 'null', 'true', '{}', '[]', '[""]', '{"length":1}', '{"toString":"x"}',
  '{"$ne":null}', '[["a"]]'
]

const BROKEN: Array<(text: string, random: Random) => string> = [
  text => `${text},`, text => `[${text}`, text => text.replaceAll('"', '\''), text => `/**/${text}`, text => `${text}//`,
  text => text.replace('}', ',}'), text => text.replace(':', '='),
  text => `${text}${text}`, text => `${text}\u0000`, text => `\u0000${text}`, text => text.replace('"', '"\n'), text => `\u200b${text}`,
  text => `)]}',\n${text}`, text => text.replace(':', ':NaN,"a":'),
  text => text.replace(':', ':0x10,"a":'), text => text.replace(':', ':01,"a":'), text => text.replace(':', ':+1,"a":'),
  text => text.replace('deviceId', '\\u12'), text => text.replace('deviceId', '\\x64'),
  (text, random) => text.slice(0, between(random, 0, text.length - 1)), (text, random) => text.slice(between(random, 1, text.length))
]

/** The text with every UTF-16 unit as a JSON escape. */
const escaped = (text: string): string => text.replace(/[^]/g, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** Variants of a text that some comparison or normalization may treat as equal. */
const LOOKALIKES: Array<(text: string) => string> = [
  text => text.normalize('NFC'), text => text.normalize('NFD'), text => text.normalize('NFKC'), text => text.toLowerCase(),
  text => text.toUpperCase(), text => text.trim(), text => ` ${text}`, text => `${text} `,
  text => `${text}\u0000`, text => text.split('\u0000')[0]!, text => `${text}\u200d`, text => `\ufeff${text}`,
  text => text.replace('a', '\u0430'), text => text.replace('a', '\uff41'), text => `\u202e${text}`,
  text => `${text}\ufe0f`, text => text.slice(0, -1), text => text + text.slice(-1), text => encodeURIComponent(text),
  text => JSON.stringify(text), text => [...text].reverse().join(''), text => `${text}\n`
]

const INVALID_UTF8 = [
  [0xff], [0xc0, 0x80], [0xc3], [0xed, 0xa0, 0x80], [0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80], [0xf4, 0x90, 0x80, 0x80],
  [0xf8, 0x88, 0x80, 0x80, 0x80], [0x80], [0xe2, 0x82], [0xfe, 0xff]
]

const TYPES = [
  'text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=a', 'application/xml', 'application/json-patch+json',
  'application/jsonx', 'json', '', ';', 'application/json\u00e9', '*/*', 'application/', 'text/json', 'application/json, text/plain'
]

export const json: Kinds = {
  broken: stranger((body, random) => pick(random, BROKEN)(JSON.stringify(body), random)),
  'wrong types': stranger((body, random) => {
    const name = pick(random, ['deviceId', 'refreshToken'] as const)
    return JSON.stringify({ ...body, [name]: 0 }).replace(`"${name}":0`, `"${name}":${pick(random, NO_TEXT)}`)
  }),
  'any value': stranger((_body, random) => JSON.stringify(anything(random))),
  'any value in a field': stranger((body, random) =>
    JSON.stringify({ ...body, [pick(random, ['deviceId', 'refreshToken'])]: anything(random) })),
  'deep, instead of it': stranger((_body, random) => pick(random, ['[', '{"a":', '[{"deviceId":']).repeat(between(random, 1, 2000))),
  'deep, beside it': client((own, random) => {
    const depth = between(random, 1, 7000)
    return `{"more":${'['.repeat(depth)}${']'.repeat(depth)},${JSON.stringify(own).slice(1)}`
  }),
  'many keys': client((own, random) => {
    const keys = Array.from({ length: between(random, 1, 2500) }, (_, i) => [`k${i}`, 0])
    return JSON.stringify({ ...Object.fromEntries(keys), ...own })
  }),
  'the same key twice': stranger(({ deviceId, refreshToken }) =>
    `{"deviceId":"right","deviceId":${JSON.stringify(deviceId)},"refreshToken":"a","refreshToken":"${refreshToken}"}`),
  'the right key last': client(({ deviceId, refreshToken }) =>
    `{"deviceId":[],"refreshToken":1,"deviceId":${JSON.stringify(deviceId)},"refreshToken":"${refreshToken}"}`),
  'fields that would be inherited': stranger(({ deviceId, refreshToken }, random) => {
    const name = pick(random, ['__proto__', 'constructor', 'prototype', '\\u005f_proto__'])
    return `{"${name}":{"deviceId":${JSON.stringify(deviceId)},"prototype":{"deviceId":"a"}},"refreshToken":"${refreshToken}"}`
  }),
  'prototypes beside it': client((own, random) => {
    const name = pick(random, ['__proto__', '\\u005f_proto__'])
    return `{"${name}":{"deviceId":"a","toString":1},"constructor":{"prototype":{"b":1}},${JSON.stringify(own).slice(1)}`
  }),
  escapes: client(({ deviceId, refreshToken }) =>
    `{"${escaped('deviceId')}":"${escaped(deviceId)}","refreshToken":"${escaped(refreshToken)}"}`),
  'white space and a byte order mark': client((own, random) =>
    `${pick(random, ['', '\ufeff'])}\t\r\n ${JSON.stringify(own, undefined, 9)}\n`),
  'another encoding': stranger((body, random) => {
    const text = pick(random, ['', '\ufeff']) + JSON.stringify(body)
    const utf16 = Buffer.from(text, 'utf16le')
    const utf7 = Buffer.from(`+AHs-${text.slice(1)}`)
    return pick(random, [utf16, Buffer.from(utf16).swap16(), utf7, Buffer.from(`${text}\u00e9`, 'latin1'), Buffer.from(text).subarray(1)])
  }),
  'a type that is not JSON, or hardly': (random, targets) => {
    const own = targets.take()
    const types = TYPES.map(type => [`Content-Type: ${type}`])
    const lines = pick(random, [...types, [], [JSON_TYPE, 'Content-Encoding: gzip'], ['Content-Type: a/b', JSON_TYPE]])
    return { ...ask(refreshing({ ...own }, lines)), may: [200, 400], own }
  }
}

export const unicode: Kinds = {
  'invalid UTF-8': (random, { bystanders }) => {
    const { deviceId, refreshToken } = pick(random, bystanders)
    const [before, after] = JSON.stringify({ deviceId: '|', refreshToken }).split('|') as [string, string]
    const name = Buffer.from(JSON.stringify(deviceId).slice(1, -1))
    const at = between(random, 0, name.length)
    const invalid = Buffer.from(pick(random, INVALID_UTF8))
    return ask(refreshing(Buffer.concat([Buffer.from(before), name.subarray(0, at), invalid, name.subarray(at), Buffer.from(after)])))
  },
  'invalid UTF-8 that decoders replace by the device\'s name': (random, { bystanders }) => {
    const { deviceId, refreshToken } = bystanders.find(({ deviceId }) => deviceId.startsWith('\ufffd'))!
    const [before, after] = JSON.stringify({ deviceId: deviceId.replace('\ufffd', '|'), refreshToken }).split('|') as [string, string]
    return ask(refreshing(Buffer.concat([Buffer.from(before), Buffer.from([pick(random, [0x80, 0xc3, 0xff])]), Buffer.from(after)])))
  },
  'lone surrogates': (random, { bystanders }) => {
    const { deviceId, refreshToken } = pick(random, bystanders)
    const name = deviceId.slice(0, 100)
    return ask(refreshing({ deviceId: pick(random, [`${name}\ud800`, `\udc00${name}`, '\udc00\ud800']), refreshToken }))
  },
  'a name that looks like the device\'s': (random, { bystanders }) => {
    const { deviceId, refreshToken } = pick(random, bystanders)
    const change = pick(random, LOOKALIKES)(deviceId)
    return ask(refreshing({ deviceId: change === deviceId ? `${deviceId.slice(1)}\u0301` : change, refreshToken }))
  },
  'any text': (random, { bystanders }) => {
    const { deviceId, refreshToken } = pick(random, bystanders)
    const text = String.fromCodePoint(...Array.from({ length: between(random, 1, 60) }, () => between(random, 0, 0x10ffff)))
    return ask(refreshing({ deviceId: text === deviceId ? '' : text, refreshToken }))
  },
  'a fullwidth or escaped name of a field': stranger(({ deviceId, refreshToken }, random) => {
    const name = pick(random, ['\uff44eviceId', 'device\u0131d', 'deviceid', 'DeviceId', 'deviceId\u0000', 'device_id'])
    return JSON.stringify({ [name]: deviceId, refreshToken })
  }),
  'its own odd name': client(({ deviceId, refreshToken }) => JSON.stringify({ refreshToken, deviceId }))
}

/** Maximum accepted body, bytes. */
const BODY_LIMIT = 32 * 1024

const sized = (own: Own, bytes: number): string => {
  const text = JSON.stringify(own)
  return text.slice(0, -1) + ' '.repeat(bytes - Buffer.byteLength(text)) + '}'
}

export const sizes: Kinds = {
  'of the device': stranger((body, random) => {
    const deviceId = pick(random, ['y', '\ud83d\ude42']).repeat(pick(random, [0, 254, 255, 256, 257, 4000]))
    return JSON.stringify({ ...body, deviceId })
  }),
  'of the token': stranger((body, random) =>
    JSON.stringify({ ...body, refreshToken: 'x'.repeat(pick(random, [0, 1, 4095, 4096, 4097, 20_000])) })),
  'of a body that is not too large': client((own, random) => sized(own, BODY_LIMIT - between(random, 0, 2))),
  'of a body that is': client((own, random) => sized(own, BODY_LIMIT + pick(random, [1, 2, 1000, 100_000])), [400]),
  'of no body': (random): Attack => ask(refreshing(pick(random, ['', ' ', '\n', '\ufeff', '""', '0'])))
}
