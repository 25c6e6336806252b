import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { loadConfig, type RunnableConfig } from '#src/config/environment'
import { createSigning } from '#src/core/signing'
import { parseKeys } from '#src/tokens/keys'
import { hasOwnForm, type Tokens } from '#src/tokens/tokens'
import { character } from '../support/character.ts'
import { claimsOf, environment, secret } from '../support/helper.ts'

const generation = { id: 7, sid: 'A'.repeat(22), gen: 3, iat: 1_700_000_000, exp: 1_700_000_900 }
const [secretA, secretB, accessSecret] = [secret(), secret(), secret()]

async function tokensWith (overrides: Record<string, string> = {}): Promise<Tokens> {
  const config = loadConfig(environment('redis://localhost', {
    REFRESH_TOKEN_SECRETS: secretA, ACCESS_TOKEN_SECRETS: accessSecret, ...overrides
  }))
  return (await createSigning(config as RunnableConfig)).tokens
}

/** A handmade JWT with any header and claims, signed with node:crypto's HMAC. */
function handmade (key: string, claims: object, header: object = {}, digest = 'sha512'): string {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const input = `${encode({ alg: 'HS512', typ: 'JWT', kid: parseKeys(key)[0].kid, ...header })}.${encode(claims)}`
  return `${input}.${createHmac(digest, key).update(input).digest('base64url')}`
}

/** A token with valid claims and any header, signed as HS512. */
function resigned (key: string, header: object): string {
  const input = `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${handmade(key, refreshClaims).split('.')[1]}`
  return `${input}.${createHmac('sha512', key).update(input).digest('base64url')}`
}

const refreshClaims = { sub: 'Refresh', iss: 'ktor.io', ...generation }

t.test('a refresh token is a pure function of its generation and key', async t => {
  const [one, other] = [await tokensWith(), await tokensWith()]
  t.equal(one.signRefresh(generation), other.signRefresh({ ...generation }))
  t.equal(one.signRefresh(generation), handmade(secretA, refreshClaims), 'plain HMAC-SHA-512 gives the same token')
})

t.test('the claims are the documented ones, with sid and gen', async t => {
  const tokens = await tokensWith({ ACCESS_TOKEN_TTL: '60', JWT_ISSUER: 'issuer.example' })
  t.same(claimsOf(tokens.signRefresh(generation)), { ...refreshClaims, iss: 'issuer.example' })
  t.same(claimsOf(tokens.signAccess(generation, 100)),
    { sub: 'Authentication', iss: 'issuer.example', id: 7, sid: generation.sid, iat: 100, exp: 160 })
  const header = JSON.parse(Buffer.from(tokens.signRefresh(generation).split('.')[0]!, 'base64url').toString())
  t.same(header, { alg: 'HS512', typ: 'JWT', kid: parseKeys(secretA)[0].kid })
})

t.test('a text id keeps its type', async t => {
  const tokens = await tokensWith()
  const text = { ...generation, id: 'user_01' }
  t.match(tokens.verifyRefresh(tokens.signRefresh(text)), text)
  t.match(tokens.verifyAccess(tokens.signAccess(text, 100)), { id: 'user_01', sid: text.sid })
  t.equal(tokens.verifyRefresh(handmade(secretA, { ...refreshClaims, id: 'a:b' })), undefined)
})

t.test('the first secret signs, all secrets verify, a removed one does not', async t => {
  const [old, both, renewed] = [await tokensWith(),
    await tokensWith({ REFRESH_TOKEN_SECRETS: `${secretB},${secretA}` }), await tokensWith({ REFRESH_TOKEN_SECRETS: secretB })]
  t.match(both.verifyRefresh(old.signRefresh(generation)), generation)
  t.equal(both.signRefresh(generation), renewed.signRefresh(generation))
  t.equal(renewed.verifyRefresh(old.signRefresh(generation)), undefined)
})

t.test('verification ignores exp, which the store checks', async t => {
  const tokens = await tokensWith()
  t.match(tokens.verifyRefresh(handmade(secretA, { ...refreshClaims, exp: 1 })), { exp: 1 })
})

t.test('rejects every token that differs from ours', async t => {
  const tokens = await tokensWith()
  const token = tokens.signRefresh(generation)
  const [header, payload, signature] = token.split('.') as [string, string, string]
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const sameBits = signature.slice(0, -1) + alphabet[alphabet.indexOf(signature.at(-1)!) + 1]
  t.same(Buffer.from(sameBits, 'base64url'), Buffer.from(signature, 'base64url'), 'the other spelling decodes to the same signature')

  const refused: Record<string, string> = {
    'an access token': tokens.signAccess(generation, 1),
    'an access token signed with the refresh secret': handmade(secretA, { ...refreshClaims, sub: 'Authentication' }),
    'a refresh token signed with the access secret': handmade(accessSecret, refreshClaims),
    'a refresh token signed with the access secret, under the kid of the refresh secret': handmade(accessSecret, refreshClaims, { kid: parseKeys(secretA)[0].kid }),
    'an unknown kid': handmade(secretA, refreshClaims, { kid: 'nobody' }),
    'no kid': handmade(secretA, refreshClaims, { kid: undefined }),
    'a kid that is an object': handmade(secretA, refreshClaims, { kid: { a: 1 } }),
    'a kid of the prototype': handmade(secretA, refreshClaims, { kid: 'constructor' }),
    'another spelling of the header': resigned(secretA, { typ: 'JWT', alg: 'HS512', kid: parseKeys(secretA)[0].kid }),
    'one more member in it': resigned(secretA, { alg: 'HS512', typ: 'JWT', kid: parseKeys(secretA)[0].kid, jku: 'https://keys.example' }),
    'alg none': handmade(secretA, refreshClaims, { alg: 'none' }),
    'alg none without a signature': `${handmade(secretA, refreshClaims, { alg: 'none' }).split('.').slice(0, 2).join('.')}.`,
    'alg HS256': handmade(secretA, refreshClaims, { alg: 'HS256' }, 'sha256'),
    'alg HS256 over HMAC-SHA-512': handmade(secretA, refreshClaims, { alg: 'HS256' }),
    'alg RS256': handmade(secretA, refreshClaims, { alg: 'RS256' }),
    'a critical header': handmade(secretA, refreshClaims, { crit: ['x'], x: 1 }),
    'another issuer': handmade(secretA, { ...refreshClaims, iss: 'evil.example' }),
    'no issuer': handmade(secretA, { ...refreshClaims, iss: undefined }),
    'no subject': handmade(secretA, { ...refreshClaims, sub: undefined }),
    'the documentation\'s own claims, without sid and gen': handmade(secretA, { sub: 'Refresh', iss: 'ktor.io', id: 1, iat: 1661587324 }),
    'an id in a text': handmade(secretA, { ...refreshClaims, id: '7' }),
    'an id of zero': handmade(secretA, { ...refreshClaims, id: 0 }),
    'an unsafe id': handmade(secretA, { ...refreshClaims, id: 2 ** 53 }),
    'a gen of a half': handmade(secretA, { ...refreshClaims, gen: 1.5 }),
    'a sid with a wildcard': handmade(secretA, { ...refreshClaims, sid: '*'.repeat(22) }),
    'a sid that is a number': handmade(secretA, { ...refreshClaims, sid: 1 }),
    'an iat in a text': handmade(secretA, { ...refreshClaims, iat: 'x' }),
    'no iat': handmade(secretA, { ...refreshClaims, iat: undefined }),
    'no exp': handmade(secretA, { ...refreshClaims, exp: undefined }),
    'claims that are null': handmade(secretA, null as unknown as object),
    'claims that are an array': handmade(secretA, [refreshClaims]),
    'a header that is null': `${Buffer.from('null').toString('base64url')}.${payload}.${signature}`,
    'a header that is no JSON': `${Buffer.from('{').toString('base64url')}.${payload}.${signature}`,
    'another spelling of the signature': `${header}.${payload}.${sameBits}`,
    'the signature with padding': `${token}==`,
    'the signature in base64': `${header}.${payload}.${signature.slice(0, -2)}+/`,
    'no signature': `${header}.${payload}.`,
    'a signature cut short': token.slice(0, -1),
    'two parts': `${header}.${payload}`,
    'four parts': `${token}.${signature}`,
    'a line break at the end': `${token}\n`,
    'a blank at the start': ` ${token}`,
    'two dots': '..',
    nothing: ''
  }
  for (const [what, forged] of Object.entries(refused)) t.equal(tokens.verifyRefresh(forged), undefined, what)
  t.match(tokens.verifyRefresh(token), generation, 'accepts the original')
})

t.test('recognizes a refresh token of this service by its header, with a known key or another', async t => {
  const own = (await tokensWith()).signRefresh(generation)
  t.ok(hasOwnForm(own))
  t.ok(hasOwnForm(resigned(secret(), { alg: 'HS512', typ: 'JWT', kid: '12345678' })))
  for (const header of [{ alg: 'HS512', typ: 'JWT' }, { alg: 'HS512', typ: 'JWT', kid: 'another-length' }, { typ: 'JWT', alg: 'HS512', kid: '12345678' }]) {
    t.notOk(hasOwnForm(resigned(secret(), header)), JSON.stringify(header))
  }
  t.notOk(hasOwnForm(own.split('.')[0]!), 'a header alone')
})

t.test('rejects every edited token', async () => {
  const tokens = await tokensWith()
  const token = tokens.signRefresh(generation)
  fc.assert(fc.property(fc.nat(token.length - 1), fc.string({ maxLength: 3, unit: character }), fc.nat(3), (at, insert, drop) => {
    const edited = token.slice(0, at) + insert + token.slice(at + drop)
    return edited === token || tokens.verifyRefresh(edited) === undefined
  }), { numRuns: 2000 })
})

t.test('rejects tokens assembled from random parts', async () => {
  const tokens = await tokensWith()
  fc.assert(fc.property(fc.json(), fc.json(), fc.uint8Array({ minLength: 64, maxLength: 64 }), (header, payload, signature) => {
    const token = [header, payload, signature].map(part => Buffer.from(part as string).toString('base64url')).join('.')
    return tokens.verifyRefresh(token) === undefined
  }), { numRuns: 1000 })
})

t.test('src/tokens imports neither ioredis, Fastify nor parent folders', async t => {
  const { readdirSync, readFileSync } = await import('node:fs')
  const folder = 'src/tokens/'
  for (const file of readdirSync(folder)) {
    t.notMatch(readFileSync(folder + file, 'utf8'), /from '(ioredis|fastify|\.\.\/)/, file)
  }
})
