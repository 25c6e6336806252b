import crypto, { randomBytes } from 'node:crypto'
import fastifyJwt from '@fastify/jwt'
import fc from 'fast-check'
import Fastify from 'fastify'
import { CompactSign, jwtVerify } from 'jose'
import t from 'tap'
import { createHmac, createHs512 } from '#src/tokens/hmac'
import { character } from '../support/character.ts'

t.test('computes the example of RFC 7515, appendix A.1', async t => {
  const secret = Buffer.from('AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow', 'base64url')
  const payload = Buffer.from('{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}').toString('base64url')
  t.equal(createHmac('sha256', secret)(`eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.${payload}`), 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk')
})

t.test('computes the same HMAC as node:crypto, for secrets and texts of any length', async t => {
  const secrets = fc.uint8Array({ maxLength: 300, size: 'max' })
  const texts = fc.string({ unit: character, maxLength: 3000, size: 'max' })
  t.doesNotThrow(() => fc.assert(fc.property(secrets, fc.array(texts, { minLength: 1, maxLength: 3 }), (secret, texts) => {
    const hmac = createHmac('sha512', Buffer.from(secret))
    for (const text of texts) {
      if (hmac(text) !== crypto.createHmac('sha512', secret).update(text).digest('base64url')) return false
    }
    return true
  }), { numRuns: 300 }))
})

t.test('verify accepts only the header that sign writes, whatever the signature', t => {
  const secret = randomBytes(64)
  const [ours, other] = [createHs512('ours', secret), createHs512('othr', secret)]
  t.same(ours.verify(ours.sign({ gen: 1 })), { gen: 1 })
  t.throws(() => ours.verify(other.sign({ gen: 1 })), { message: 'the token is not of this key' })
  t.end()
})

t.test('signs the same bytes as @fastify/jwt and jose, and all three verify them', async t => {
  const [kid, secret] = ['a-kid_08', randomBytes(64)]
  const app = Fastify()
  t.teardown(async () => await app.close())
  await app.register(fastifyJwt, { secret, sign: { algorithm: 'HS512', kid }, verify: { algorithms: ['HS512'], cache: false } })
  const { sign, verify } = createHs512(kid, secret)

  const claims = fc.record({
    sub: fc.constantFrom('Refresh', 'Authentication'),
    iss: fc.string({ unit: character, minLength: 1 }),
    id: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    sid: fc.base64String(),
    gen: fc.integer({ min: 1 }),
    iat: fc.integer({ min: 1, max: 2 ** 40 }),
    exp: fc.integer({ min: 2 ** 41, max: 2 ** 42 })
  })
  await fc.assert(fc.asyncProperty(claims, async claims => {
    const token = sign(claims)
    t.equal(token, app.jwt.sign(claims))
    t.equal(token, await new CompactSign(Buffer.from(JSON.stringify(claims))).setProtectedHeader({ alg: 'HS512', typ: 'JWT', kid }).sign(secret))
    t.same(verify(token), claims)
    t.same(app.jwt.verify(token), claims)
    t.same((await jwtVerify(token, secret)).payload, claims)
  }))
})
