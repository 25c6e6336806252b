import { createHmac, createPrivateKey, createPublicKey, sign, type KeyObject } from 'node:crypto'
import { compactVerify } from 'jose'
import t from 'tap'
import { loadConfig, type RunnableConfig } from '#src/config/environment'
import { createSigning, type Signing } from '#src/core/signing'
import { parseKeys } from '#src/tokens/keys'
import { parsePrivateKeys } from '#src/tokens/private-keys'
import { hasLowerS, twinOf, withLowerS } from '../support/es256.ts'
import { environment, privateKey, secret } from '../support/helper.ts'

/** Access tokens: each configured key signs valid ones, and any other token is rejected. */

const session = { id: 7, sid: 'A'.repeat(22) }
const claims = { sub: 'Authentication', iss: 'ktor.io', ...session, iat: 1_700_000_000, exp: 1_700_000_900 }
const generation = { ...session, gen: 3, iat: claims.iat, exp: claims.exp }
const pems = { EdDSA: privateKey('EdDSA'), ES256: privateKey('ES256'), RS256: privateKey('RS256') }
const [secretA, refreshSecret] = [secret(), secret()]
const kidOf = (pem: string): string => parsePrivateKeys(pem)[0]!.kid

async function appWith (overrides: Record<string, string>): Promise<Signing> {
  const env = environment('redis://localhost', { ACCESS_TOKEN_SECRETS: secretA, REFRESH_TOKEN_SECRETS: refreshSecret, ...overrides })
  return await createSigning(loadConfig(env) as RunnableConfig)
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A handmade JWT with the function's signature. */
function handmade (header: object, payload: object, signature: (input: string) => Buffer): string {
  const input = `${encode({ alg: undefined, typ: 'JWT', ...header })}.${encode(payload)}`
  return `${input}.${signature(input).toString('base64url')}`
}

const hmac = (key: string | Buffer, digest = 'sha512') => (input: string): Buffer => createHmac(digest, key).update(input).digest()
const es256 = (key: KeyObject) => (input: string): Buffer => sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' })
const es256Der = (key: KeyObject) => (input: string): Buffer => sign('sha256', Buffer.from(input), key)
const rs256 = (key: KeyObject) => (input: string): Buffer => sign('sha256', Buffer.from(input), key)
const eddsa = (key: KeyObject) => (input: string): Buffer => sign(null, Buffer.from(input), key)

t.test('the first private key signs; tokens of every key and secret verify, expired ones too', async t => {
  const { EdDSA, ES256, RS256 } = pems
  const secrets = await appWith({})
  const all = await appWith({ ACCESS_TOKEN_PRIVATE_KEYS: `${ES256},${EdDSA},${RS256}` })
  const keysAlone = await appWith({ ACCESS_TOKEN_PRIVATE_KEYS: EdDSA + RS256, ACCESS_TOKEN_SECRETS: '' })
  const served = await appWith({ ACCESS_TOKEN_PRIVATE_KEYS: `HS512,${ES256}` })
  const header = (app: Signing): object => JSON.parse(Buffer.from(app.tokens.signAccess(generation, 1).split('.')[0]!, 'base64url').toString())

  t.same(header(secrets), { alg: 'HS512', typ: 'JWT', kid: parseKeys(secretA)[0].kid })
  t.same(header(all), { alg: 'ES256', typ: 'JWT', kid: kidOf(ES256) })
  t.same(header(keysAlone), { alg: 'EdDSA', typ: 'JWT', kid: kidOf(EdDSA) })
  t.same(header(served), header(secrets), 'the secret signs while the keys are only served')
  t.same(served.jwks.map(({ kid }) => kid), [kidOf(ES256)])

  const signers: Record<string, Signing['tokens']> = { secrets: secrets.tokens, served: served.tokens }
  for (const [algorithm, pem] of Object.entries(pems)) signers[algorithm] = (await appWith({ ACCESS_TOKEN_PRIVATE_KEYS: pem })).tokens
  for (const [name, tokens] of Object.entries(signers)) {
    t.same(all.tokens.verifyAccess(tokens.signAccess(generation, 100)), { ...claims, iat: 100, exp: 1000 }, name)
  }
  t.equal(keysAlone.tokens.verifyAccess(secrets.tokens.signAccess(generation, 1)), undefined, 'rejects a token of a removed secret')
  t.equal(keysAlone.tokens.verifyAccess(all.tokens.signAccess(generation, 1)), undefined, 'rejects a token of a removed key')
  t.match(served.tokens.verifyAccess(all.tokens.signAccess(generation, 1)), session, 'accepts tokens of replicas that sign with a key already')
})

t.test('refresh tokens are HS512 with any access token key, and neither kind passes as the other', async t => {
  const before = await appWith({})
  for (const [algorithm, pem] of Object.entries(pems)) {
    const { tokens } = await appWith({ ACCESS_TOKEN_PRIVATE_KEYS: pem })
    const [access, refresh] = [tokens.signAccess(generation, 1), tokens.signRefresh(generation)]
    t.equal(refresh, before.tokens.signRefresh(generation), `${algorithm}: the refresh token has the same bytes`)
    t.equal(tokens.verifyRefresh(access), undefined)
    t.equal(tokens.verifyAccess(refresh), undefined)
    const key = createPrivateKey(pem)
    const signature = { EdDSA: eddsa, ES256: es256, RS256: rs256 }[algorithm]!(key)
    for (const kid of [kidOf(pem), parseKeys(refreshSecret)[0].kid]) {
      const forged = handmade({ alg: algorithm, kid }, { ...generation, sub: 'Refresh', iss: 'ktor.io' }, signature)
      t.equal(tokens.verifyRefresh(forged), undefined, 'rejects refresh claims signed with a private key')
      t.equal(tokens.verifyAccess(forged), undefined)
    }
  }
})

t.test('rejects every token that differs from ours', async t => {
  const { tokens } = await appWith({ ACCESS_TOKEN_PRIVATE_KEYS: Object.values(pems).join('') })
  const [ed, ec, rsa] = Object.values(pems).map(pem => createPrivateKey(pem)) as [KeyObject, KeyObject, KeyObject]
  const [edKid, ecKid, rsaKid] = Object.values(pems).map(kidOf) as [string, string, string]
  const { kid: secretKid } = parseKeys(secretA)[0]
  const publicPem = createPublicKey(rsa).export({ type: 'spki', format: 'pem' })
  const jwk = JSON.stringify(createPublicKey(ec).export({ format: 'jwk' }))
  const [header, payload, signature] = withLowerS(handmade({ alg: 'ES256', kid: ecKid }, claims, es256(ec))).split('.') as [string, string, string]
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const sameBits = signature.slice(0, -1) + alphabet[alphabet.indexOf(signature.at(-1)!) + 1]
  t.same(Buffer.from(sameBits, 'base64url'), Buffer.from(signature, 'base64url'))

  const refused: Record<string, string> = {
    'HS256 with the public PEM for a secret': handmade({ alg: 'HS256', kid: rsaKid }, claims, hmac(publicPem, 'sha256')),
    'HS512 with the public PEM for a secret': handmade({ alg: 'HS512', kid: rsaKid }, claims, hmac(publicPem)),
    'alg RS256 with an HMAC of the public PEM': handmade({ alg: 'RS256', kid: rsaKid }, claims, hmac(publicPem)),
    'HS512 with the public JWK for a secret': handmade({ alg: 'HS512', kid: ecKid }, claims, hmac(jwk)),
    'HS512 with our secret under the kid of a key': handmade({ alg: 'HS512', kid: rsaKid }, claims, hmac(secretA)),
    'HS512 with the refresh secret': handmade({ alg: 'HS512', kid: secretKid }, claims, hmac(refreshSecret)),
    'HS256 with our secret': handmade({ alg: 'HS256', kid: secretKid }, claims, hmac(secretA, 'sha256')),
    'a key under the kid of the secret': handmade({ alg: 'EdDSA', kid: secretKid }, claims, eddsa(ed)),
    'an ES256 signature with alg RS256': handmade({ alg: 'RS256', kid: ecKid }, claims, es256(ec)),
    'ES256 under the kid of RS256': handmade({ alg: 'ES256', kid: rsaKid }, claims, es256(ec)),
    'RS256 under the kid of EdDSA': handmade({ alg: 'RS256', kid: edKid }, claims, rs256(rsa)),
    PS256: handmade({ alg: 'PS256', kid: rsaKid }, claims, input => sign('sha256', Buffer.from(input), { key: rsa, padding: 6 })),
    RS512: handmade({ alg: 'RS512', kid: rsaKid }, claims, input => sign('sha512', Buffer.from(input), rsa)),
    'ES256 in DER': handmade({ alg: 'ES256', kid: ecKid }, claims, es256Der(ec)),
    'an ES256 signature of zeros': handmade({ alg: 'ES256', kid: ecKid }, claims, () => Buffer.alloc(64)),
    none: handmade({ alg: 'none', kid: ecKid }, claims, () => Buffer.alloc(0)),
    'none with a signature': handmade({ alg: 'none', kid: ecKid }, claims, es256(ec)),
    'an unknown kid': handmade({ alg: 'ES256', kid: kidOf(privateKey('ES256')) }, claims, es256(ec)),
    'no kid': handmade({ alg: 'ES256' }, claims, es256(ec)),
    'another key in the header': handmade({ alg: 'ES256', kid: ecKid, jwk: JSON.parse(jwk) }, claims, es256(createPrivateKey(privateKey('ES256')))),
    'another issuer': handmade({ alg: 'EdDSA', kid: edKid }, { ...claims, iss: 'evil.example' }, eddsa(ed)),
    'another subject': handmade({ alg: 'EdDSA', kid: edKid }, { ...claims, sub: 'Refresh' }, eddsa(ed)),
    'an id that is a string': handmade({ alg: 'EdDSA', kid: edKid }, { ...claims, id: '7' }, eddsa(ed)),
    'an iat that is a string': handmade({ alg: 'EdDSA', kid: edKid }, { ...claims, iat: '1' }, eddsa(ed)),
    'no exp': handmade({ alg: 'EdDSA', kid: edKid }, { ...claims, exp: undefined }, eddsa(ed)),
    'no sid': handmade({ alg: 'EdDSA', kid: edKid }, { ...claims, sid: undefined }, eddsa(ed)),
    'a malformed sid': handmade({ alg: 'EdDSA', kid: edKid }, { ...claims, sid: '*' }, eddsa(ed)),
    'another encoding of the signature': `${header}.${payload}.${sameBits}`,
    'ES256 with the higher s': twinOf(`${header}.${payload}.${signature}`),
    'ES256 with half a signature': `${header}.${payload}.${signature.slice(0, 43)}`,
    'a header that is not JSON': `e30x.${payload}.${signature}`,
    'a line break at the end': `${header}.${payload}.${signature}\n`,
    'four parts': `${header}.${payload}.${signature}.x`,
    'two parts': `${header}.${payload}`,
    nothing: ''
  }
  for (const [what, forged] of Object.entries(refused)) t.equal(tokens.verifyAccess(forged), undefined, what)
  const taken = {
    'the original': `${header}.${payload}.${signature}`,
    EdDSA: handmade({ alg: 'EdDSA', kid: edKid }, claims, eddsa(ed)),
    RS256: handmade({ alg: 'RS256', kid: rsaKid }, claims, rs256(rsa)),
    HS512: handmade({ alg: 'HS512', kid: secretKid }, claims, hmac(secretA))
  }
  for (const [what, token] of Object.entries(taken)) t.same(tokens.verifyAccess(token), claims, `accepts ${what}`)
})

t.test('ES256: every token has the lower s, and the same token with the higher s is rejected', async t => {
  const { tokens } = await appWith({ ACCESS_TOKEN_PRIVATE_KEYS: pems.ES256 })
  const key = createPublicKey(pems.ES256)
  const signed = Array.from({ length: 300 }, (_, i) => tokens.signAccess(generation, 1000 + i))
  t.equal(signed.filter(hasLowerS).length, 300)
  t.equal(signed.filter(token => tokens.verifyAccess(token) !== undefined).length, 300, 'every token verifies here')
  for (const token of signed.slice(0, 20)) {
    await t.resolves(compactVerify(token, key), 'jose verifies the token')
    await t.resolves(compactVerify(twinOf(token), key), 'jose verifies the token with the higher s too')
    t.equal(tokens.verifyAccess(twinOf(token)), undefined)
  }
})

const toBytes = (number: bigint, length: number): Buffer => Buffer.from(number.toString(16).padStart(length * 2, '0'), 'hex')
const toNumber = (bytes: Buffer): bigint => BigInt(`0x${bytes.toString('hex')}`)

t.test('EdDSA and RS256: rejects other numbers of the same residue, and signatures with a byte more or less', async t => {
  const { tokens } = await appWith({ ACCESS_TOKEN_PRIVATE_KEYS: pems.EdDSA + pems.RS256 })
  const [ed, rsa] = [createPrivateKey(pems.EdDSA), createPrivateKey(pems.RS256)]
  const spell = (alg: string, pem: string, sub: object, signature: (input: string) => Buffer): Record<string, unknown> | undefined =>
    tokens.verifyAccess(handmade({ alg, kid: kidOf(pem) }, sub, signature)) as Record<string, unknown> | undefined

  // RFC 8032 section 5.1: S is a number modulo this order, and must be less.
  const order = 2n ** 252n + 27742317777372353535851937790883648493n
  const edSignature = eddsa(ed)
  for (let k = 0n; k < 14n; k++) {
    const taken = spell('EdDSA', pems.EdDSA, claims, input => {
      const bytes = edSignature(input)
      const s = toNumber(Buffer.from(bytes.subarray(32)).reverse())
      return Buffer.concat([bytes.subarray(0, 32), toBytes(s + k * order, 32).reverse()])
    })
    t.equal(taken !== undefined, k === 0n, `EdDSA with S + ${k} times the order`)
  }

  const modulus = toNumber(Buffer.from(createPublicKey(rsa).export({ format: 'jwk' }).n!, 'base64url'))
  const rsaSignature = rs256(rsa)
  /** Tries claims until the signature fits: about every second does for `small`, every 256th for `short`. */
  const claimsWith = (fits: (signature: Buffer) => boolean): object => {
    for (let iat = 1; ; iat++) {
      let fitting = false
      handmade({ alg: 'RS256', kid: kidOf(pems.RS256) }, { ...claims, iat }, input => {
        const signature = rsaSignature(input)
        fitting = fits(signature)
        return signature
      })
      if (fitting) return { ...claims, iat }
    }
  }
  const small = claimsWith(signature => toNumber(signature) + modulus < 2n ** 2048n)
  const short = claimsWith(signature => signature[0] === 0)
  for (const fitting of [small, short]) t.ok(spell('RS256', pems.RS256, fitting, rsaSignature), 'accepts RS256 as signed')
  t.notOk(spell('RS256', pems.RS256, small, input => toBytes(toNumber(rsaSignature(input)) + modulus, 256)), 'rejects RS256 plus the modulus')
  t.notOk(spell('RS256', pems.RS256, short, input => rsaSignature(input).subarray(1)), 'rejects RS256 without its leading zero')

  for (const [alg, signature] of Object.entries({ EdDSA: edSignature, RS256: rsaSignature })) {
    const pem = alg === 'EdDSA' ? pems.EdDSA : pems.RS256
    t.notOk(spell(alg, pem, claims, input => Buffer.concat([signature(input), Buffer.alloc(1)])), `rejects ${alg} and a zero byte`)
    t.notOk(spell(alg, pem, claims, input => Buffer.concat([Buffer.alloc(1), signature(input)])), `rejects a zero byte and ${alg}`)
    t.notOk(spell(alg, pem, claims, input => signature(input).subarray(0, -1)), `rejects ${alg} without its last byte`)
  }
})
