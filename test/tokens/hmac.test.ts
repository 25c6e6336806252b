import { createSecretKey, randomBytes } from 'node:crypto'
import fastifyJwt from '@fastify/jwt'
import fc from 'fast-check'
import Fastify from 'fastify'
import { CompactSign, jwtVerify } from 'jose'
import t from 'tap'
import { createHs512Signer, signCompact } from '#src/tokens/hmac'

t.test('signs the example of RFC 7515, appendix A.1', async t => {
  const key = createSecretKey('AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow', 'base64url')
  const payload = '{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}'
  t.equal(signCompact('sha256', key, 'eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.', payload),
    'eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.' +
    'eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.' +
    'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk')
})

t.test('signs the same bytes as @fastify/jwt and jose, and both verify them', async t => {
  const [kid, secret] = ['a-kid_08', randomBytes(64)]
  const app = Fastify()
  t.teardown(async () => await app.close())
  await app.register(fastifyJwt, { secret, sign: { algorithm: 'HS512', kid }, verify: { algorithms: ['HS512'], cache: false } })
  const sign = createHs512Signer(kid, secret)

  const claims = fc.record({
    sub: fc.constantFrom('Refresh', 'Authentication'),
    iss: fc.string({ unit: 'binary', minLength: 1 }),
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
    t.same(app.jwt.verify(token), claims)
    t.same((await jwtVerify(token, secret)).payload, claims)
  }))
})
