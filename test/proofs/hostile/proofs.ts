import { sign } from 'node:crypto'
import { apiKey } from '../../support/helper.ts'
import { between, pick, type Random } from '../../support/random.ts'
import { ask, type Attack, type Kinds } from './attack.ts'
import { hashOf, owner, stranger, type Parts } from './holder.ts'
import type { Bystander, Own, Targets } from './targets.ts'
import { JSON_TYPE, REFRESH, request } from './wire.ts'

/**
 * `DPoP` headers. Each comes with a bystander's current token and its device, on every route that checks proofs: only the proof can
 * be refused, and it must neither use up the token nor bind the session. A proof of a bound session is by the right key otherwise.
 */

/** The address that the clients call. */
export const ISSUER = 'https://id.example.com'

const FORM = 'Content-Type: application/x-www-form-urlencoded'

type Presented = Pick<Own, 'deviceId' | 'refreshToken'>

/** A route that refreshes: its path, its request, and how it refuses. */
interface Route {
  path: string
  send (path: string, presented: Presented, lines: string[]): Buffer
  refused (error: string): Partial<Attack>
}

const documented: Route = {
  path: REFRESH,
  send: (path, { deviceId, refreshToken }, lines) => request('POST', path, [JSON_TYPE, ...lines], JSON.stringify({ deviceId, refreshToken })),
  refused: () => ({})
}

const oauth: Route = {
  path: '/oauth/token',
  send: (path, { deviceId, refreshToken }, lines) => request('POST', path, [FORM, ...lines],
    new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken, device_id: deviceId }).toString()),
  refused: error => ({ face: 'oauth', error })
}

const cookie: Route = {
  path: '/api/ps/session/refresh',
  send: (path, { deviceId, refreshToken }, lines) =>
    request('POST', path, [`Cookie: __Host-refresh=${Buffer.from(deviceId).toString('base64url')}.${refreshToken}`, ...lines]),
  refused: () => ({})
}

const routes = [documented, oauth, cookie]

/** The request of a bound session's client, with its proof. */
export const proved = (session: Presented, { path, send }: Route = documented): Buffer =>
  send(path, session, [`DPoP: ${owner.prove({ claims: { htu: ISSUER + path } })}`])

export const provedWithCookie = (session: Presented): Buffer => proved(session, cookie)

const now = (): number => Math.floor(Date.now() / 1000)

const { jwk } = owner
const cut = (value: unknown, length: number): string => String(value).slice(0, length)

const HEADERS: Array<() => object> = [
  ...[undefined, null, '', 'JWT', 'DPOP+JWT', 'dpop+jwt ', 'application/dpop+jwt', ['dpop+jwt'], 1, {}].map(typ => () => ({ typ })),
  ...[undefined, null, '', 'none', 'None', 'es256', 'HS256', 'RS256', 'PS256', 'ES384', 'ES256K', 'EdDSA', 'Ed25519', ['ES256'], '__proto__']
    .map(alg => () => ({ alg })),
  ...[
    undefined, null, '', 'x', [], [jwk], {}, 1, stranger.jwk, owner.privateKey.export({ format: 'jwk' }), { ...jwk, d: 'A' }, { ...jwk, k: 'A' }, { ...jwk, p: '' },
    { kty: 'oct', k: 'AAAA' }, { kty: 'RSA', n: 'AQAB', e: 'AQAB' }, { ...jwk, kty: 'OKP' }, { ...jwk, crv: 'P-384' }, { ...jwk, crv: 'Ed25519' },
    { ...jwk, x: undefined }, { ...jwk, y: undefined }, { ...jwk, x: 1 }, { ...jwk, x: cut(jwk['x'], 42) }, { ...jwk, x: `${jwk['x']}A` },
    { ...jwk, y: jwk['x'] }, { ...jwk, x: 'A'.repeat(43), y: 'A'.repeat(43) }, { ...jwk, x: '_'.repeat(43) }, { ...jwk, y: '='.repeat(43) },
    { kty: 'OKP', crv: 'Ed25519', x: jwk['x'] }
  ].map(jwk => () => ({ jwk })),
  ...[['b64'], [], 'typ', null].map(crit => () => ({ crit }))
]

const CLAIMS: Array<() => object> = [
  ...[undefined, null, '', 'PUT', 'post', 'POST ', ['POST'], 1].map(htm => () => ({ htm })),
  ...[
    undefined, null, '', 1, [ISSUER + REFRESH], REFRESH, ISSUER, `${ISSUER}/`, `${ISSUER}${REFRESH}/`, `http://id.example.com${REFRESH}`,
    `https://id.example.com.evil.a${REFRESH}`, `https://evil.a${REFRESH}`, `https://id.example.com:8443${REFRESH}`, `http://a${REFRESH}`, `//id.example.com${REFRESH}`,
    `${ISSUER}/API/PS/REFRESH`, `${ISSUER}/api%2fps/refresh`, `${ISSUER}${REFRESH}%00`, 'javascript:1', 'data:,', 'https://[', `blob:${ISSUER}${REFRESH}`
  ].map(htu => () => ({ htu })),
  ...[undefined, null, '', [], {}, true, -1, 0, 1e308, 2 ** 53].map(iat => () => ({ iat })),
  () => ({ iat: String(now()) }), () => ({ iat: now() - 120 }), () => ({ iat: now() + 600 }), () => ({ iat: now() * 1000 }),
  ...[undefined, null, '', 1, [], {}, ['a'], 'x'.repeat(129), 'x'.repeat(2500)].map(jti => () => ({ jti }))
]

/** Texts instead of the JSON of a part. */
const TEXTS = ['', 'x', '{', 'null', '[]', '1', '""', '{}', '"dpop+jwt"', '\ufeff{}', `${'['.repeat(1000)}${']'.repeat(1000)}`, `{"a":${'{"a":'.repeat(300)}1${'}'.repeat(301)}`]

/** Makes a proof with `claims`, wrong in one part. Several values are several headers. */
function malformed (random: Random, claims: Parts['claims']): string[] {
  const good = (): string => owner.prove({ claims: claims! })
  return pick<() => string[]>(random, [
    () => [pick(random, ['', ' ', '.', '..', 'a.b', 'a.b.c', 'a.b.c.d', 'null', '{}', '"', 'Bearer', '\u00e9', '\u00ff', '%', 'x'.repeat(between(random, 1, 9000))])],
    () => [pick(random, [(t: string) => `${t}.`, (t: string) => `.${t}`, (t: string) => `${t}=`, (t: string) => `"${t}"`, (t: string) => `${t},`,
      (t: string) => t.replace('.', ' .'), (t: string) => t.replace('.', '..'), (t: string) => `DPoP ${t}`, (t: string) => `${t}, ${t}`])(good())],
    () => pick(random, [[good(), good()], [good(), ''], ['', good()], [good(), 'x'], ['x', good()]]),
    () => [broken(random, good())],
    () => [signedWrongly(random, good())],
    () => [owner.prove({ claims: claims!, header: pick(random, HEADERS)() as Parts['header'] & object })],
    () => [owner.prove({ claims: { ...claims, ...pick(random, CLAIMS)() } })],
    () => [owner.prove({ claims: claims!, text: { [pick(random, ['header', 'claims'])]: pick(random, TEXTS) } })],
    () => [owner.prove({ claims: { ...claims, pad: 'x'.repeat(pick(random, [4000, 9000])) } })]
  ])()
}

/** Changes a character. Not the last ones: base64url has several spellings of these. */
function broken (random: Random, proof: string): string {
  const at = between(random, 0, proof.length - 5)
  const other = pick(random, [...'AZaz09-_.!,;="\\%\u00e9 '].filter(character => character !== proof[at]))
  return proof.slice(0, at) + other + proof.slice(at + 1)
}

function signedWrongly (random: Random, proof: string): string {
  const signed = proof.slice(0, proof.lastIndexOf('.'))
  const signatures = [
    'AAAA', 'A'.repeat(86), '_'.repeat(86), proof.slice(signed.length + 1, -4), `${proof.slice(signed.length + 1)}AAAA`, 'A'.repeat(2000),
    stranger.prove({ claims: {} }).split('.')[2]!, sign('sha256', Buffer.from(signed), owner.privateKey).toString('base64url')
  ]
  return `${signed}.${pick(random, signatures)}`
}

const lines = (proofs: string[]): string[] => proofs.map(proof => `DPoP: ${proof}`)

/** A refresh that nothing is wrong with but its proofs. */
function refreshing (random: Random, target: Bystander, error: string, proofsFor: (htu: string) => string[]): Attack {
  const { path, send, refused } = pick(random, routes)
  return { ...ask(send(path, target, lines(proofsFor(ISSUER + path)))), ...refused(error) }
}

const API = { method: 'GET', proto: 'https', host: 'api.example', uri: '/orders?page=2' }
const API_URL = 'https://api.example/orders'

/** What a gateway asks about a client's request. */
const gateway = (authorization: string, proofs: string[], { method, proto, host, uri } = API): Buffer => request('GET', '/internal/verify', [
  `X-Internal-Api-Key: ${apiKey}`, `Authorization: ${authorization}`, `X-Forwarded-Method: ${method}`, `X-Forwarded-Proto: ${proto}`,
  `X-Forwarded-Host: ${host}`, `X-Forwarded-Uri: ${uri}`, ...lines(proofs)
])

const claimsFor = (token: string): object => ({ htm: 'GET', htu: API_URL, ath: hashOf(token) })

/** The question of a gateway whose client proves its key. */
export const provedAtGateway = ({ token }: Bystander): Buffer => gateway(`DPoP ${token}`, [owner.prove({ claims: { ...claimsFor(token) } })])

const atGateway = (authorization: string, proofs: string[], called = API): Attack =>
  ({ ...ask(gateway(authorization, proofs, called)), listener: 'internal', may: [401], exactly: 1 })

/** Unusual proofs that are right. */
const ODD: Array<(htu: string) => Parts> = [
  htu => ({ claims: { htu: `${htu}?a=b#c` } }), htu => ({ claims: { htu: htu.replace('example.com', 'EXAMPLE.com:443') } }),
  htu => ({ claims: { htu: htu.replace('o', '%6f').replace('r', '%72') } }), htu => ({ claims: { htu, iat: now() - 0.5 } }),
  htu => ({ claims: { htu, nonce: '__proto__', exp: 0, nbf: 9e9, ath: [] } }), htu => ({ claims: { htu }, header: { kid: null, jku: 'http://127.0.0.1:1/', x5c: [] } }),
  htu => ({ claims: { htu }, header: { jwk: { use: 'enc', key_ops: [], alg: 'none', ...jwk, __proto__: null } } })
]

export const proofs: Kinds = {
  'a proof that is none': (random, { bystanders, bound }) =>
    refreshing(random, pick(random, [...bystanders, ...bound]), 'invalid_dpop_proof', htu => malformed(random, { htu })),
  'a bound session without a proof, or with another key\'s': (random, { bound }) =>
    refreshing(random, pick(random, bound), 'invalid_grant', htu => pick(random, [[], [stranger.prove({ claims: { htu } })]])),
  'its own odd proof': (random, targets) => {
    const own = targets.takeBound()
    const { path, send, refused } = pick(random, [documented, oauth])
    return { ...ask(send(path, own, lines([owner.prove(pick(random, ODD)(ISSUER + path))]))), ...refused(''), may: [200], own }
  },
  'a gateway\'s question with a proof that is none': (random, { bound }) => {
    const { token } = pick(random, bound)
    return atGateway(`${pick(random, ['DPoP', 'dpop'])} ${token}`, malformed(random, { ...claimsFor(token) }))
  },
  'a gateway\'s question about another token, key or request': (random, targets) => {
    const { token } = pick(random, targets.bound)
    const claims = { ...claimsFor(token) }
    return pick<() => Attack>(random, [
      () => atGateway(`DPoP ${token}`, []),
      () => atGateway(`DPoP ${token}`, [stranger.prove({ claims })]),
      () => atGateway(`DPoP ${token}`, [owner.prove({ claims: { ...claims, ath: pick(random, wrongHashes(random, targets)) } })]),
      () => atGateway(`DPoP ${token}`, [owner.prove({ claims })], { ...API, ...pick(random, OTHER_REQUESTS) }),
      () => atGateway(`Bearer ${token}`, pick(random, [[], [owner.prove({ claims })]])),
      () => unbound(random, targets)
    ])()
  }
}

/** A token of no key does not become a bound one by a proof. */
function unbound (random: Random, { bystanders }: Targets): Attack {
  const { token } = pick(random, bystanders)
  return atGateway(`DPoP ${token}`, pick(random, [[], [owner.prove({ claims: { ...claimsFor(token) } })]]))
}

const wrongHashes = (random: Random, { bystanders }: Targets): unknown[] =>
  [undefined, null, '', 1, [], 'x', hashOf(''), hashOf(pick(random, bystanders).token), 'A'.repeat(900)]

const OTHER_REQUESTS: Array<Partial<typeof API>> = [
  { method: 'POST' }, { method: 'get' }, { method: '' }, { proto: 'http' }, { proto: '' }, { proto: 'javascript' }, { host: 'evil.a' }, { host: '' },
  { host: '[' }, { host: 'api.example, evil.a' }, { host: 'api.example@evil.a' }, { uri: '/' }, { uri: '' }, { uri: '/orders/' }, { uri: '//orders' },
  { uri: '/orders%2f' }, { uri: '\u00ff' }, { uri: '.evil.a/orders' }
]
