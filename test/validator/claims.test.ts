import Fastify, { type FastifyInstance, type LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { sessionValidation, type SessionRequirement } from '../../packages/validator/src/fastify.ts'
import { build, claimsOf, startRedis, type PrivateRedis, type Service } from '../support/helper.ts'
import { codeOf, optionsFor, until, validatorFor } from './helper.ts'

/** Claims of users and sessions in the validator's answer, and routes that demand them. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

t.test('validate returns the record\'s claims, and follows a change', async t => {
  const service = await build(t, redis)
  const validator = await validatorFor(t, service)
  const { token } = await service.open({ userClaims: { plan: 'gold', tags: ['a'] }, sessionClaims: { amr: ['pwd'] } })
  const { claims } = await validator.validate(token)
  t.strictSame(claims, { plan: 'gold', tags: ['a'], amr: ['pwd'] })
  t.ok(Object.isFrozen(claims) && Object.isFrozen(claims['tags']), 'other calls share them')
  await service.call('PATCH', '/internal/users/1', { userClaims: {} })
  await until(async () => (await validator.validate(token)).claims !== claims)
  t.strictSame((await validator.validate(token)).claims, { amr: ['pwd'] })
})

t.test('damaged claims are unavailable', async t => {
  const service = await build(t, redis)
  const validator = await validatorFor(t, service, { cache: false })
  const { token } = await service.open()
  for (const field of ['c', `c:${claimsOf(token).sid}`]) {
    await redis.client.hset(`${service.config.REDIS_PREFIX}1`, field, '{')
    t.equal(await codeOf(validator.validate(token)), 'unavailable')
    await redis.client.hdel(`${service.config.REDIS_PREFIX}1`, field)
  }
})

/** Returns a function that asks a route with this requirement in a session with claims. */
async function setup (t: Test): Promise<(requirement: SessionRequirement, sessionClaims: object) => Promise<LightMyRequestResponse>> {
  const service: Service = await build(t, redis)
  const validator = await validatorFor(t, service)
  return async (requirement, sessionClaims) => {
    const app: FastifyInstance = Fastify()
    t.teardown(async () => await app.close())
    await app.register(sessionValidation, { validator })
    app.get('/', { onRequest: app.requireSession(requirement) }, async () => 'ok')
    const { token } = await service.open({ userClaims: { plan: 'gold', beta: true, level: 3, tags: ['a', 'b'] }, sessionClaims })
    return await app.inject({ url: '/', headers: { authorization: `Bearer ${token}` } })
  }
}

t.test('requireSession answers 403 without the required claims', async t => {
  const ask = await setup(t)
  const met: Array<SessionRequirement['claims']> = [
    { plan: 'gold' }, { plan: ['iron', 'gold'] }, { beta: true, level: 3 }, { level: [2, 3] }, { tags: 'b' }, { tags: ['x', 'a'] }, { amr: 'otp' },
    { scope: 'write' }, { scope: ['admin', 'read'] }
  ]
  for (const claims of met) t.equal((await ask({ claims }, { amr: ['pwd', 'otp'], scope: 'read write' })).statusCode, 200, JSON.stringify(claims))
  const unmet: Array<SessionRequirement['claims']> = [
    { plan: 'iron' }, { plan: ['iron'] }, { beta: 'true' }, { level: '3' }, { tags: 'a,b' }, { none: 'x' }, { toString: 'x' }, { scope: 'rea' },
    { scope: 'read write' }, { plan: 'gold', level: 4 }, { amr: 'hwk' }
  ]
  for (const claims of unmet) {
    t.match(await ask({ claims }, { amr: ['pwd'], scope: 'read write' }), {
      statusCode: 403, body: '{"code":403,"message":"Forbidden"}', headers: { 'www-authenticate': 'Bearer error="insufficient_scope"' }
    }, JSON.stringify(claims))
  }
})

t.test('maxAge and acr ask the user to authenticate again (RFC 9470): 401', async t => {
  const ask = await setup(t)
  const now = Date.now() / 1000
  for (const time of [now, now - 200, now + 30]) t.equal((await ask({ maxAge: 3600 }, { auth_time: time })).statusCode, 200)
  const challenge = async (requirement: SessionRequirement, claims: object): Promise<unknown> => {
    const response = await ask(requirement, claims)
    t.match(response, { statusCode: 401, body: '{"code":401,"message":"Unauthorized"}' }, JSON.stringify(claims))
    return response.headers['www-authenticate']
  }
  for (const time of [now - 3700, undefined, 'x', String(now), null, now + 3600, now * 1000]) {
    t.equal(await challenge({ maxAge: 3600 }, { auth_time: time }), 'Bearer error="insufficient_user_authentication", max_age="3600"')
  }
  t.equal((await ask({ claims: { acr: 'gold' } }, { acr: 'gold' })).statusCode, 200)
  t.equal((await ask({ claims: { acr: ['silver', 'gold'] }, maxAge: 9 }, { acr: 'gold', auth_time: now })).statusCode, 200)
  for (const acr of [undefined, 'bronze', ['gold']]) {
    t.equal(await challenge({ claims: { acr: ['silver', 'gold'] }, maxAge: 0 }, { acr, auth_time: now }),
      'Bearer error="insufficient_user_authentication", acr_values="silver gold", max_age="0"')
  }
  t.equal(await challenge({ claims: { acr: 'gold' } }, {}), 'Bearer error="insufficient_user_authentication", acr_values="gold"')
  t.equal((await ask({ roles: ['ADMIN'], maxAge: 1 }, {})).statusCode, 403, 'authenticating again gives no other role')
})

t.test('requireSession rejects an invalid requirement', async t => {
  const app = Fastify()
  t.teardown(async () => await app.close())
  const service = await build(t, redis)
  await app.register(sessionValidation, optionsFor(service))
  const wrong: Record<string, unknown[]> = {
    claims: [null, [], {}, 'x', { a: null }, { a: [] }, { a: {} }, { a: [['x']] }, { a: [1, null] }, { a: undefined }],
    maxAge: [null, -1, 1.5, NaN, Infinity, '1', 2 ** 53],
    acr: ['a b', 'a"', 'a\\', '', 'é', 'a\n'].map(acr => ({ acr }))
  }
  for (const [name, values] of Object.entries(wrong)) {
    const field = name === 'acr' ? 'claims' : name
    for (const value of values) {
      t.throws(() => app.requireSession({ [field]: value }), { name: 'TypeError', message: new RegExp(`^${name} `) }, JSON.stringify(value))
    }
  }
  t.throws(() => app.requireSession({ maxage: 1 } as never), { name: 'TypeError', message: /^requireSession takes/ })
})
