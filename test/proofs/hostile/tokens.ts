import { createHmac } from 'node:crypto'
import { parseKeys } from '#src/tokens/keys'
import { claimsOf } from '../../support/helper.ts'
import { between, pick, type Random } from '../../support/random.ts'
import { ask, type Attack, type Kinds, type Make } from './attack.ts'
import { otherDevice, type Bystander, type Targets } from './targets.ts'
import { refreshing } from './wire.ts'

/**
 * Invalid or stolen tokens (RFC 7519) aimed at a session. Requests with an invalid token name the session's device, so that
 * only the token can be refused. An attacker with the secret can sign valid tokens; those requests name another device.
 */

export const encode = (part: object | string): string =>
  Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url')

const HASHES: Record<string, string> = { HS256: 'sha256', HS384: 'sha384', HS512: 'sha512' }

/** Signs any header and claims as the service does. */
export function sign (secret: string, claims: object | string, header: object = {}, alg = 'HS512'): string {
  const input = `${encode({ alg, typ: 'JWT', kid: parseKeys(secret)[0].kid, ...header })}.${encode(claims)}`
  return `${input}.${createHmac(HASHES[alg]!, secret).update(input).digest('base64url')}`
}

/** The claims of the bystander's token with changes; `undefined` removes a claim. */
export const claims = ({ refreshToken }: Bystander, changes: object = {}): object => ({ ...claimsOf(refreshToken), ...changes })

const FAR: object[] = [
  { gen: 2 ** 53 - 1 }, { gen: 1000 }, { exp: 1 }, { exp: 2 ** 53 - 1 }, { iat: 2 ** 53 - 1 },
  { nbf: 2 ** 40 }, { nbf: 'x' }, { aud: [] }, { jti: {} }
]

type MakeToken = (random: Random, target: Bystander, targets: Targets) => string

const NUMBERS = [0, -1, 1.5, 2 ** 53, 2 ** 53 + 2, -(2 ** 63), 1e308, '1', '', 'a:b', 'a'.repeat(129), null, true, [], [1], {}, undefined]
const TEXTS = ['', ' ', 1, 0, null, true, [], {}, undefined, 'x'.repeat(2000), '\u0000', 's:*']

/** Sends an invalid token from the session's own device. */
const fromItsDevice = (make: MakeToken): Make => (random, targets) => {
  const target = pick(random, targets.bystanders)
  const refreshToken = make(random, target, targets)
  if (refreshToken === target.refreshToken) throw new Error('this would be right')
  return ask(refreshing({ deviceId: target.deviceId, refreshToken }))
}

/** Sends a possibly valid token from another device. */
const fromElsewhere = (make: MakeToken): Make => (random, targets) => {
  const target = pick(random, targets.bystanders)
  return ask(refreshing({ deviceId: otherDevice(target), refreshToken: make(random, target, targets) }))
}

const parts = (token: string): [string, string, string] => token.split('.') as [string, string, string]

const HEADERS = [
  { alg: 'none' }, { alg: 'None' }, { alg: 'hs512' }, { alg: '' }, { alg: null }, { alg: ['HS512'] }, { alg: 'RS256' }, { alg: 'ES256' },
  { alg: 'EdDSA' }, { alg: undefined },
  { kid: '../../../../dev/null' }, { kid: '/proc/self/environ' }, { kid: '\' OR 1=1 --' }, { kid: '$(id)' }, { kid: '' }, { kid: 0 },
  { kid: null }, { kid: [] }, { kid: {} }, { kid: undefined },
  { kid: '__proto__' }, { kid: 'constructor' }, { kid: 'toString' }, { kid: 'x'.repeat(1500) }, { kid: '\u0000' },
  { jku: 'http://127.0.0.1:1/keys' }, { x5u: 'http://127.0.0.1:1/' },
  { jwk: { kty: 'oct', k: 'AAAA' } }, { x5c: ['AAAA'] }, { crit: ['exp'] }, { crit: ['b64'], b64: false }, { b64: false }, { typ: 'JWE' },
  { cty: 'JWT' }, { zip: 'DEF' }, { enc: 'A256GCM' }
]

/** Keys that a careless verifier could be tricked into using. */
const keys = (targets: Targets): string[] =>
  ['', 'secret', '\0', 'undefined', 'null', '[object Object]', targets.accessSecret, 'x'.repeat(64)]

const realKid = ({ refreshSecret }: Targets): { kid: string } => ({ kid: parseKeys(refreshSecret)[0].kid })

/** Returns the token with a changed, re-encoded or empty signature. */
function mutateSignature (random: Random, token: string): string {
  const [header, payload, signature] = parts(token)
  const at = between(random, 0, signature.length - 1)
  const other = [...'ABCxyz019-_'].filter(character => character !== signature[at])
  const changed = pick(random, [
    signature.slice(0, at) + pick(random, other) + signature.slice(at + 1), signature.slice(0, at), signature + signature,
    `${signature}=`, `${signature}==`, `${signature}\n`, ` ${signature}`, `${signature}.`, signature.split('').reverse().join('') + 'A',
    signature.replace(/.$/, last => String.fromCharCode(last.charCodeAt(0) + 1)), ''
  ])
  return `${header}.${payload}.${changed}`
}

const another = (random: Random, target: Bystander, { bystanders }: Targets): Bystander =>
  pick(random, bystanders.filter(one => one !== target))

export const tokens: Kinds = {
  'a header of another algorithm or key, without a signature': fromItsDevice((random, target, { refreshSecret }) => {
    const [header, payload] = parts(sign(refreshSecret, claims(target), pick(random, HEADERS)))
    return `${header}.${payload}.${pick(random, ['', 'AA', 'A'.repeat(86)])}`
  }),
  'a header of another algorithm or key, signed by a guess': fromItsDevice((random, target, targets) => {
    const header = { ...realKid(targets), ...pick(random, HEADERS) }
    return sign(pick(random, keys(targets)), claims(target), header, pick(random, Object.keys(HASHES)))
  }),
  'another algorithm, signed by the secret': fromItsDevice((random, target, { refreshSecret }) =>
    sign(refreshSecret, claims(target), {}, pick(random, ['HS256', 'HS384']))),
  'an odd header, signed by the secret': fromElsewhere((random, target, { refreshSecret }) =>
    sign(refreshSecret, claims(target), pick(random, HEADERS))),
  'signed by the other secret': fromItsDevice((random, target, targets) =>
    sign(targets.accessSecret, claims(target), pick(random, [{}, realKid(targets)]))),
  'a signature that was changed': fromItsDevice((random, target) => mutateSignature(random, target.refreshToken)),
  'claims that were changed': fromItsDevice((random, target) => {
    const [header, , signature] = parts(target.refreshToken)
    const changes = pick(random, [{ gen: 99 }, { id: 2 ** 31 }, { exp: 2 ** 40 }, { sub: 'Authentication' }, { iat: 0 }, { admin: true }])
    return `${header}.${encode(claims(target, changes))}.${signature}`
  }),
  'parts of two tokens': fromItsDevice((random, target, targets) => {
    const [header, payload, signature] = parts(target.refreshToken)
    const [, theirs, theirSignature] = parts(another(random, target, targets).refreshToken)
    return pick(random, [
      `${header}.${theirs}.${signature}`, `${header}.${payload}.${theirSignature}`, `${payload}.${header}.${signature}`,
      `${header}.${payload}`, `${header}.${payload}.${signature}.${theirs}`
    ])
  }),
  'an access token': fromItsDevice((_random, target) => target.token),
  'the claims of an access token, signed by the secret': fromItsDevice((_random, target, { refreshSecret }) =>
    sign(refreshSecret, claimsOf(target.token))),
  'claims of wrong types, signed by the secret': fromItsDevice((random, target, { refreshSecret }) => {
    const name = pick(random, ['id', 'gen', 'iat', 'exp', 'sid', 'iss', 'sub'])
    const values = ['id', 'gen', 'iat', 'exp'].includes(name) ? NUMBERS : TEXTS
    return sign(refreshSecret, claims(target, { [name]: pick<unknown>(random, values) }))
  }),
  'claims that are none, signed by the secret': fromItsDevice((random, _target, { refreshSecret }) => sign(refreshSecret, pick(random, [
    '', '[]', 'null', '1', '"x"', '{', '{}', '\u0000', '['.repeat(900), '{"__proto__":{"id":1,"gen":1,"iat":1,"exp":1}}',
    `{"id":${'9'.repeat(900)}}`
  ]))),
  'the session of another user, signed by the secret': fromItsDevice((random, target, targets) => {
    const { sid } = claimsOf(another(random, target, targets).refreshToken)
    return sign(targets.refreshSecret, claims(target, { sid }))
  }),
  'a user or a session that is not there, signed by the secret': fromItsDevice((random, target, { refreshSecret }) =>
    sign(refreshSecret, claims(target, pick<object>(random, [{ id: 2 ** 53 - 1 }, { id: 999_999 }, { sid: '_'.repeat(22) }])))),
  'times and generations far away, signed by the secret': fromElsewhere((random, target, { refreshSecret }) =>
    sign(refreshSecret, claims(target, pick(random, FAR)))),
  'a right token from another device': fromElsewhere((_random, target) => target.refreshToken),
  'a token that was used, from another device': fromElsewhere((random, target) => pick(random, [target.refreshToken, ...target.ancestors])),
  'what is no token': (random, targets): Attack => {
    const { deviceId, refreshToken } = pick(random, targets.bystanders)
    const none = [
      '.', '..', '...', '.'.repeat(4000), 'a.b.c', `Bearer ${refreshToken}`, `"${refreshToken}"`, ` ${refreshToken}`, `${refreshToken} `,
      `${refreshToken}\u0000`, refreshToken.toUpperCase(),
      encodeURIComponent(`%${refreshToken}`), Buffer.from(refreshToken).toString('base64'), refreshToken.replaceAll('.', '\uff0e'),
      `${refreshToken}.${refreshToken}`, 'e30.e30.', '\ud83d\ude00'.repeat(900)
    ]
    return ask(refreshing({ deviceId, refreshToken: pick(random, none) }))
  }
}
