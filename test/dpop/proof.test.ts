import t, { type Test } from 'tap'
import { InvalidProof, verifyProof, type BoundToken } from '#src/dpop/proof'
import { createProofCheck } from '#src/dpop/replay'
import { hashOf, holder, tampered, type Holder } from './helper.ts'

/** The checks of RFC 9449 section 4.3, each with a proof that is right but for one thing. */

const target = { method: 'POST', url: 'https://auth.example/api/ps/refresh' }
const right = { htm: 'POST', htu: target.url }

let client: Holder
t.before(async () => { client = await holder() })

const refused = (t: Test, proof: string | undefined, what: string, bound?: BoundToken): void => {
  t.throws(() => verifyProof({ ...target, proof }, bound), { name: 'InvalidProof' }, what)
}

t.test('a right proof gives the thumbprint of its key, in each algorithm', async t => {
  for (const alg of ['ES256', 'EdDSA', 'Ed25519'] as const) {
    const { prove, jkt } = await holder(alg)
    t.equal(verifyProof({ ...target, proof: await prove(right) }).jkt, jkt, alg)
  }
})

t.test('no proof, several proofs in one header, and a proof that is too long are refused', async t => {
  const [a, b] = [await client.prove(right), await client.prove(right)]
  for (const proof of [undefined, '', `${a}, ${b}`, `${a}, `, `, ${a}`, await client.prove({ ...right, x: 'x'.repeat(4096) })]) refused(t, proof, 'not one proof')
})

t.test('a proof that is no well-formed JWT is refused', async t => {
  const proof = await client.prove(right)
  const [header, payload, signature] = proof.split('.') as [string, string, string]
  const json = (text: string): string => Buffer.from(text).toString('base64url')
  for (const wrong of ['x', `${header}.${payload}`, `${proof}.x`, `.${payload}.${signature}`, `${header}..${signature}`, `${header}.${payload}.`, ` ${proof}`]) {
    refused(t, wrong, wrong)
  }
  for (const text of ['', 'null', '1', '[]', '"a"', '{', '{}']) {
    refused(t, `${json(text) || 'e'}.${payload}.${signature}`, `header ${text}`)
    refused(t, `${header}.${json(text) || 'e'}.${signature}`, `payload ${text}`)
  }
})

t.test('a proof without one of its claims is refused', async t => {
  for (const name of ['htm', 'htu', 'iat', 'jti']) refused(t, await client.prove({ ...right, [name]: undefined }), name)
  refused(t, await client.prove({ ...right, ath: undefined }), 'ath', { token: 'token', jkt: client.jkt })
})

t.test('a proof of another typ, or with a critical header, is refused', async t => {
  for (const typ of [undefined, 'JWT', 'jwt', 'at+jwt', 'application/dpop+jwt', 'DPOP+JWT', 1]) refused(t, await client.prove(right, { typ }), String(typ))
  refused(t, await client.prove(right, { crit: ['x'], x: 1 }), 'crit')
})

t.test('a proof of another algorithm is refused: none, symmetric, or one that is not listed', async t => {
  const proof = await client.prove(right)
  for (const alg of ['none', 'HS256', 'RS256', 'ES384', 'EdDSA', 'es256', undefined, 1]) {
    refused(t, tampered(proof, 0, header => ({ ...header, alg })), String(alg))
  }
  refused(t, await (await holder('ES384')).prove(right), 'ES384')
  const { jwk } = await holder('EdDSA')
  refused(t, tampered(proof, 0, header => ({ ...header, jwk })), 'a key of another kind')
})

t.test('a proof whose signature is by another key is refused', async t => {
  const proof = await client.prove(right)
  const other = await holder()
  refused(t, tampered(proof, 0, header => ({ ...header, jwk: other.jwk })), 'another jwk')
  refused(t, tampered(proof, 1, claims => ({ ...claims, jti: 'other' })), 'other claims')
  refused(t, `${proof.slice(0, -8)}AAAAAAAA`, 'another signature')
  refused(t, `${proof.slice(0, proof.lastIndexOf('.'))}.AA`, 'a short signature')
})

t.test('a proof whose jwk has private members, or is no key, is refused', async t => {
  refused(t, await client.prove(right, { jwk: client.privateJwk }), 'private')
  refused(t, await client.prove(right, { jwk: { ...client.jwk, k: 'AA' } }), 'symmetric')
  const { x, y } = client.jwk
  for (const jwk of [undefined, null, 1, 'x', [], {}, { ...client.jwk, x: y, y: x }, { ...client.jwk, y: undefined }, { ...client.jwk, x: [x] }, { ...client.jwk, x: `${x}A` }, { ...client.jwk, crv: 'P-384' }]) {
    refused(t, await client.prove(right, { jwk }), JSON.stringify(jwk))
  }
})

t.test('a proof for another method is refused', async t => {
  for (const htm of ['GET', 'post', '', ['POST']]) refused(t, await client.prove({ ...right, htm }), String(htm))
})

t.test('a proof for another address is refused; query and fragment are ignored, and addresses are normalised', async t => {
  for (const htu of ['https://auth.example/api/ps/logout', 'https://auth.example/', 'http://auth.example/api/ps/refresh', 'https://evil.example/api/ps/refresh',
    'https://auth.example:444/api/ps/refresh', '/api/ps/refresh', 'x', '', 1, [right.htu], 'https://auth.example/api/ps/refresh/', 'https://auth.example/api%2Fps/refresh']) {
    refused(t, await client.prove({ ...right, htu }), String(htu))
  }
  for (const htu of ['HTTPS://AUTH.EXAMPLE:443/api/ps/refresh', 'https://auth.example/api/ps/refresh?a=b#c', 'https://auth.example/api/./x/../ps/refres%68']) {
    t.ok(verifyProof({ ...target, proof: await client.prove({ ...right, htu }) }), htu)
  }
  t.ok(verifyProof({ method: 'GET', url: 'https://a.example/%c3?q=1', proof: await client.prove({ htm: 'GET', htu: 'https://a.example/%C3' }) }))
  t.throws(() => verifyProof({ method: 'GET', url: 'undefined', proof: 'x' }), InvalidProof)
  for (const address of ['about:blank', 'ftp://a.example/']) {
    const proof = await client.prove({ htm: 'GET', htu: address })
    t.throws(() => verifyProof({ method: 'GET', url: address, proof }), InvalidProof, address)
  }
})

t.test('a proof older than a minute, or more than five seconds ahead, is refused', async t => {
  const now = 1_800_000_000
  const at = async (iat: unknown): Promise<string> => await client.prove({ ...right, iat })
  for (const iat of [now - 60, now, now + 5, now + 0.5]) t.ok(verifyProof({ ...target, proof: await at(iat) }, undefined, now), String(iat))
  for (const iat of [now - 61, now + 6, 0, null, String(now)]) {
    const proof = tampered(await at(now), 1, claims => ({ ...claims, iat }))
    t.throws(() => verifyProof({ ...target, proof }, undefined, now), { message: /time/ }, String(iat))
  }
})

t.test('a proof whose jti is empty, too long or no text is refused', async t => {
  t.ok(verifyProof({ ...target, proof: await client.prove({ ...right, jti: 'x'.repeat(128) }) }))
  for (const jti of ['', 'x'.repeat(129), 1, null]) refused(t, await client.prove({ ...right, jti }), String(jti).slice(0, 9))
})

t.test('a proof for another access token, or by another key than the token\'s, is refused', async t => {
  const token = 'access token'
  const proof = await client.prove({ ...right, ath: hashOf(token) })
  t.ok(verifyProof({ ...target, proof }, { token, jkt: client.jkt }))
  refused(t, proof, 'another token', { token: 'other', jkt: client.jkt })
  refused(t, proof, 'another key', { token, jkt: (await holder()).jkt })
})

t.test('a proof works once, while it is valid', async t => {
  let now = 0
  const checkProof = createProofCheck(2, () => now)
  const [a, b, c, d] = [await client.prove(right), await client.prove(right), await client.prove(right), await client.prove(right)]
  const isRefused = (proof: string): void => { t.throws(() => checkProof({ ...target, proof }), { name: 'InvalidProof', message: /used/ }) }
  t.equal(checkProof({ ...target, proof: a }), client.jkt)
  isRefused(a)
  now += 65_000
  isRefused(a)
  checkProof({ ...target, proof: b })
  // The newer set is full: it becomes the older set, and this proof starts a new set.
  checkProof({ ...target, proof: c })
  isRefused(a)
  checkProof({ ...target, proof: d })
  now += 66_000
  isRefused(c)
  checkProof({ ...target, proof: a }) // forgotten
  const other = await holder()
  const jti = 'the same'
  checkProof({ ...target, proof: await client.prove({ ...right, jti }) })
  t.equal(checkProof({ ...target, proof: await other.prove({ ...right, jti }) }), other.jkt, 'a jti is unique for its key')
})

t.test('a refused proof is not remembered, so that nobody can use up the proofs of others', async t => {
  const checkProof = createProofCheck()
  const proof = await client.prove(right)
  t.throws(() => checkProof({ ...target, method: 'GET', proof }))
  t.equal(checkProof({ ...target, proof }), client.jkt)
})
