import { randomBytes } from 'node:crypto'
import { apiKey } from '../../support/helper.ts'
import { between, pick, type Random } from '../../support/random.ts'
import { ask, type Attack, type Kinds } from './attack.ts'
import type { Targets } from './targets.ts'
import { tokens } from './tokens.ts'
import { JSON_TYPE, request } from './wire.ts'

/** Attacks on the internal listener: requests without the API key, and nonsense from a caller with the key. */

const WITH_KEY = `Authorization: Bearer ${apiKey}`

/** The key of a gateway, with the scope `introspect` alone. */
export const gatewayKey = randomBytes(32).toString('base64url')

const FORM = 'Content-Type: application/x-www-form-urlencoded'

const inside = (attack: Attack): Attack => ({ ...attack, listener: 'internal' })

const CALLS = [
  ['POST', '/internal/sessions'], ['GET', '/internal/users/1/sessions'], ['DELETE', '/internal/users/1/sessions'],
  ['GET', '/internal/users/1'], ['DELETE', '/internal/users/1?erase'],
  ['DELETE', '/internal/users/1/sessions/AAAAAAAAAAAAAAAAAAAAAA'], ['PATCH', '/internal/users/1'], ['POST', '/internal/introspect']
] as const

/** Authorization headers without the key, or with a wrong one. */
const KEYS: string[][] = [
  [],
  [`X-Internal-Api-Key: ${apiKey}`],
  [`Cookie: Authorization=${apiKey}`],
  ['Authorization: Bearer x', WITH_KEY],
  ...[
    '', 'Bearer', 'Bearer ', 'Bearer undefined', `Bearer ${apiKey.slice(0, -1)}`, `Bearer ${apiKey}x`, `Bearer ${apiKey} x`,
    `Bearer ${apiKey.toLowerCase()}!`, `Basic ${apiKey}`, apiKey, `Bearer ${'x'.repeat(9000)}`
  ].map(value => [`Authorization: ${value}`])
]

const PATHS = [
  '/internal', '/internal/', '/internal/x', '/internal/..%2fhealthz', '/docs/static/..%2f..%2f..%2fetc/passwd', '/docs/static/%00', '/x',
  '//healthz', '/%2e%2e/metrics'
]

const NO_PROFILES = [
  '', '{}', '[]', 'null', '{"email":"a"}', '{"role":"a"}', '{"role":null}', '{"email":"a@b","role":1}', '{"__proto__":{"role":"A"}}', '{"userClaims":null}',
  '{"userClaims":{"iss":1}}', `{"role":"A","userClaims":{"a":${'['.repeat(9000)}${']'.repeat(9000)}}}`
]

const USER_CALLS = [
  ['GET', '/sessions', ''], ['DELETE', '/sessions', ''], ['PATCH', '', '{"role":"A"}'], ['GET', '', ''], ['DELETE', '?erase', '']
] as const

/** Queries that do not confirm an erasure. */
const NO_ERASURES = ['', '?', '?erase=false', '?erase=1', '?ERASE', '?erase&erase', '?erase[]=', '?erase=true%00', '?a=erase', '?__proto__[erase]=']

const TRACES = [
  'X-Request-Id: {"level":60}', `X-Request-Id: ${'a'.repeat(5000)}`, 'X-Request-Id: \u00ff', `traceparent: ${'0'.repeat(9000)}`,
  `traceparent: 00-${'0'.repeat(32)}-${'1'.repeat(16)}-01`, `traceparent: 00-${'a'.repeat(32)}-${'b'.repeat(16)}-ff`
]

/** Path segments that are not a user id. */
const NO_USERS = [
  '0', '-1', '01', '9007199254740992', '9'.repeat(90), '*', '1%00', '1%0a', '__proto__', 'a:b', '%7Ba%7D', 'a%20b', 'a%2fb', 'a'.repeat(129),
  '%F0%9F%98%80', '1;DROP', '{1}', '..%2f1', '%', 'a'.repeat(2000)
]

const NO_SESSIONS = [
  '*', 'A'.repeat(21), 'A'.repeat(23), 's:AAAAAAAAAAAAAAAAAAAAA', `${'A'.repeat(21)}%20`, `${'A'.repeat(22)}%0a`, '%00', '..',
  '.'.repeat(22)
]

/** Claims that are mistyped, reserved, deep or long. */
const WRONG_CLAIMS = [
  null, '', 'x', 1, true, [], [{}], { exp: 9e9 }, { sub: 'Refresh' }, { id: 2 }, { a: 1, sid: 'x' }, { a: 'x'.repeat(1017) }, { ['x'.repeat(2000)]: 1 },
  { a: '\u00e9'.repeat(510) }, { a: '\u0000'.repeat(200) }, { a: [[[[[]]]]] }, JSON.parse(`{"a":${'['.repeat(900)}${']'.repeat(900)}}`)
]

function opening (random: Random): object {
  const right = { userId: 1, email: 'a@example.com', role: 'GUEST', deviceId: 'a' }
  const wrong = {
    userId: [0, -1, 1.5, '1', '007', '', 'a:b', '{a}', ' a', 'a\u0000', '_a', 'a'.repeat(129), null, 2 ** 53, [1], {}, undefined],
    email: ['', 'a', '@', 'a@', 'a b@c', 'a@b\n', `${'a'.repeat(251)}@bcd`, 1, null, ['a@b'], 'a@\u200bb', {}],
    role: ['', 'guest', 'A B', 'A\n', `A${'B'.repeat(32)}`, '1A', 1, null, ['A'], '\u00c4', {}],
    deviceId: ['', ' ', '\ud800', 'x'.repeat(256), 1, null, {}],
    idleTtl: [0, -1, 1.5, 2 ** 53, '1', null, [], {}],
    absoluteTtl: [0, -1, 1.5, 31_536_001, -0, '1', null, [], {}],
    label: ['', ' ', '\u0000', '\ud800', '\u00e9'.repeat(25), 1, null, []],
    userClaims: WRONG_CLAIMS,
    sessionClaims: WRONG_CLAIMS
  }
  const name = pick(random, Object.keys(wrong) as Array<keyof typeof wrong>)
  return { ...right, [name]: pick<unknown>(random, wrong[name]) }
}

/** Text of a form with some unusual bytes. */
const form = (random: Random): string => Array.from({ length: between(random, 0, 40) }, () =>
  pick(random, ['token', '=', '&', '%', '%00', '%zz', '+', '[]', ';', '\u00e9', 'a', '__proto__'])).join('')

export const internal: Kinds = {
  'without the key, or with another': random => {
    const [method, path] = pick(random, CALLS)
    const body = pick(random, ['', '{}', '{', JSON.stringify(opening(random)), 'x'.repeat(40_000)])
    return inside({ ...ask(request(method, path, [JSON_TYPE, ...pick(random, KEYS)], body)), may: [401], exactly: 1 })
  },
  'a call that the key does not permit': random => {
    const [method, path] = pick(random, CALLS.filter(([, path]) => path !== '/internal/introspect'))
    const body = pick(random, ['', '{', JSON.stringify(opening(random)), '{"role":"ADMIN"}', 'x'.repeat(40_000)])
    return inside({ ...ask(request(method, path, [JSON_TYPE, `Authorization: Bearer ${gatewayKey}`], body)), may: [403], exactly: 1 })
  },
  'a path that is none, without the key': random => inside({ ...ask(request('GET', pick(random, PATHS))), may: [400, 401, 404] }),
  'a user that is none': random => {
    const [method, path, body] = pick(random, USER_CALLS)
    const bytes = request(method, `/internal/users/${pick(random, NO_USERS)}${path}`, [WITH_KEY, JSON_TYPE], body)
    return inside({ ...ask(bytes), may: [400, 404] })
  },
  'a session that is none': random =>
    inside({ ...ask(request('DELETE', `/internal/users/1/sessions/${pick(random, NO_SESSIONS)}`, [WITH_KEY])), may: [400, 404] }),
  'a session to keep that is none': random => inside(ask(request('DELETE',
    `/internal/users/1/sessions?except=${pick(random, ['', `${'A'.repeat(22)}&except=${'A'.repeat(22)}`, ...NO_SESSIONS])}`, [WITH_KEY]))),
  'an erasure that is not confirmed': random =>
    inside(ask(request('DELETE', `/internal/users/1${pick(random, NO_ERASURES)}`, [WITH_KEY]))),
  'a session that is opened wrongly': random =>
    inside(ask(request('POST', '/internal/sessions', [WITH_KEY, JSON_TYPE], JSON.stringify(opening(random))))),
  'a profile that is changed wrongly': random =>
    inside(ask(request('PATCH', '/internal/users/1', [WITH_KEY, JSON_TYPE], pick(random, NO_PROFILES)))),
  'a question about a token of any kind': (random, targets) => {
    const token = hostileToken(random, targets)
    return inside({ ...ask(request('POST', '/internal/introspect', [WITH_KEY, FORM], `token=${encodeURIComponent(token)}${pick(random, ['', '&token_type_hint=refresh_token'])}`)), may: [200] })
  },
  'a form of any kind': random =>
    inside({ ...ask(request('POST', '/internal/introspect', [WITH_KEY, FORM], form(random))), may: [200, 400] }),
  'a gateway\'s question with a token of any kind': (random, targets) => {
    const token = encodeURIComponent(hostileToken(random, targets))
    const lines = [`X-Internal-Api-Key: ${apiKey}`, `Authorization: Bearer ${token}`]
    return inside({ ...ask(request('GET', '/internal/verify', lines)), may: [204, 401] })
  },
  // The operator must fix this, so it is a 500: the gateway would pass a 401 on to a client with a good token.
  'a gateway without the key': (random, { bystanders }) => {
    const [key, { token }] = [pick(random, KEYS.filter(lines => !lines.some(line => line.startsWith('X-')))), pick(random, bystanders)]
    return inside({ ...ask(request('GET', '/internal/verify', [...key, `Authorization: Bearer ${token}`])), may: [500], exactly: 1 })
  },
  'ids and traces': random => inside({ ...ask(request('GET', '/healthz', [pick(random, TRACES)])), may: [200] })
}

/** The token of a random attack on the public listener; it may be an authentic refresh token. */
function hostileToken (random: Random, targets: Targets): string {
  const make = pick(random, Object.values(tokens))
  const [bytes] = make(random, targets).pieces
  const { refreshToken } = JSON.parse(bytes!.toString().split('\r\n\r\n')[1]!) as { refreshToken: string }
  return refreshToken
}
