import Fastify, { type FastifyInstance, type LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { sessionValidation, type SessionValidationOptions } from '../../packages/validator/src/fastify.ts'
import { createSessionValidator } from '../../packages/validator/src/index.ts'
import { build, claimsOf, guest, startRedis, type PrivateRedis, type Service, type TokensBody } from '../support/helper.ts'
import { lookups, optionsFor, until, validatorFor } from './helper.ts'

/** The plugin in an app of another service, with serializers and error handlers of its own. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

async function bareApp (t: Test, options: SessionValidationOptions): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(async () => await app.close())
  await app.register(sessionValidation, options)
  app.setErrorHandler(async () => 'the app\'s own error')
  app.get('/me', { onRequest: app.requireSession() }, async request => request.session)
  app.get('/admin', { onRequest: app.requireSession({ roles: ['ADMIN', 'OWNER'] }) }, async () => 'secret')
  app.get('/open', async request => ({ session: request.session }))
  return app
}

async function get (app: FastifyInstance, url: string, authorization?: string): Promise<LightMyRequestResponse> {
  return await app.inject({ url, headers: authorization === undefined ? {} : { authorization } })
}

interface Setup { service: Service, app: FastifyInstance, tokens: TokensBody, bearer: string }

async function setup (t: Test): Promise<Setup> {
  const service = await build(t, redis)
  const app = await bareApp(t, optionsFor(service))
  const tokens = await service.open()
  return { service, app, tokens, bearer: `Bearer ${tokens.token}` }
}

t.test('a live session reaches the handler', async t => {
  const { app, tokens, bearer } = await setup(t)
  const { id, sid, exp } = claimsOf(tokens.token)
  const response = await get(app, '/me', bearer)
  t.equal(response.statusCode, 200)
  t.strictSame(response.json(), { id, sid, email: guest.email, role: guest.role, claims: {}, expiresAt: exp })
  t.equal((await get(app, '/me', bearer.replace('Bearer', 'bearer  '))).statusCode, 200)
  t.strictSame((await get(app, '/open', bearer)).json(), { session: null })
})

const challenged = async (t: Test, response: LightMyRequestResponse, challenge: string): Promise<void> => {
  t.match(response, {
    statusCode: 401,
    body: '{"code":401,"message":"Unauthorized"}',
    headers: { 'content-type': 'application/json; charset=utf-8', 'www-authenticate': challenge }
  })
  t.equal(response.headers['www-authenticate'], challenge)
}

t.test('a mistyped requirement or validator is refused at the start, and grants no access', async t => {
  const { service, app } = await setup(t)
  for (const wrong of [{ roles: 'ADMIN' }, { roles: [] }, { roles: null }, { roles: [1] }, { roles: [''] }, { role: 'ADMIN' }, 'ADMIN', null, ['ADMIN']]) {
    t.throws(() => app.requireSession(wrong as never), { name: 'TypeError', message: /roles/ }, JSON.stringify(wrong))
  }
  const validator = await validatorFor(t, service)
  for (const wrong of [{ validator: undefined, ...optionsFor(service) }, { validator: {} }, { validator, cache: false }]) {
    const app = Fastify()
    t.teardown(async () => await app.close())
    await t.rejects(async () => await app.register(sessionValidation, wrong as never), { name: 'TypeError', message: /^validator must/ })
  }
})

t.test('the plugin closes while Redis is away', async t => {
  const gone = await startRedis(t)
  const service = await build(t, gone)
  const app = await bareApp(t, optionsFor(service))
  const { token } = await service.open()
  t.equal((await get(app, '/me', `Bearer ${token}`)).statusCode, 200)
  await gone.kill()
  await until(async () => (await get(app, '/me', `Bearer ${token}`)).statusCode === 503)
  await app.close()
  const stranger = createSessionValidator(optionsFor(service))
  await stranger.ready().catch(() => {})
  await stranger.close()
})

t.test('401 without a token, and with a bad token', async t => {
  const { service, app, tokens, bearer } = await setup(t)
  for (const header of [undefined, '', 'Bearer', 'Bearer ', 'Basic eA==', tokens.token, `${bearer} x`]) {
    await challenged(t, await get(app, '/me', header), 'Bearer')
  }
  for (const token of [`${tokens.token}x`, tokens.refreshToken, 'x']) {
    await challenged(t, await get(app, '/me', `Bearer ${token}`), 'Bearer error="invalid_token"')
  }
  await service.call('DELETE', '/internal/users/1/sessions')
  const without = await bareApp(t, optionsFor(service, { cache: false }))
  await challenged(t, await get(without, '/me', bearer), 'Bearer error="invalid_token"')
})

t.test('403 without one of the roles, by the current role', async t => {
  const { service, app, bearer } = await setup(t)
  const response = await get(app, '/admin', bearer)
  t.match(response, {
    statusCode: 403,
    body: '{"code":403,"message":"Forbidden"}',
    headers: { 'content-type': 'application/json; charset=utf-8', 'www-authenticate': 'Bearer error="insufficient_scope"' }
  })
  const uncached = await bareApp(t, optionsFor(service, { cache: false }))
  for (const [role, status] of [['ADMIN', 200], ['OWNER', 200], ['GUEST', 403]] as const) {
    await service.call('PATCH', '/internal/users/1', { role })
    t.equal((await get(uncached, '/admin', bearer)).statusCode, status, role)
  }
  await service.call('DELETE', '/internal/users/1/sessions')
  const { token } = await service.open({ email: undefined, role: undefined })
  t.equal((await get(uncached, '/admin', `Bearer ${token}`)).statusCode, 403, 'an unknown role')
})

t.test('503 when the session can\'t be validated, logged without the token', async t => {
  const { service, tokens, bearer } = await setup(t)
  const lines: string[] = []
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => { lines.push(line) } } } })
  t.teardown(async () => await app.close())
  await app.register(sessionValidation, optionsFor(service, { prefix: 'damaged:' }))
  app.get('/', { onRequest: app.requireSession() }, async () => 'never')
  await redis.client.hset('damaged:1', `s:${claimsOf(tokens.token).sid}`, 'x')
  const response = await get(app, '/', bearer)
  t.match(response, {
    statusCode: 503,
    body: '{"code":503,"message":"Service Unavailable"}',
    headers: { 'content-type': 'application/json; charset=utf-8', 'retry-after': '1' }
  })
  t.equal(lines.length, 1)
  t.match(JSON.parse(lines[0]!), { msg: 'the session could not be validated', err: { code: 'unavailable' } })
  t.notMatch(lines[0], 'eyJ')
})

t.test('no serializer of the app changes a refusal', async t => {
  const { service } = await setup(t)
  const app = Fastify()
  t.teardown(async () => await app.close())
  app.setReplySerializer(() => 'serialized')
  await app.register(sessionValidation, optionsFor(service))
  const response = { 401: { type: 'object', properties: { other: { type: 'string' } } } }
  app.get('/', { onRequest: app.requireSession(), schema: { response } }, async () => 'never')
  t.equal((await get(app, '/')).body, '{"code":401,"message":"Unauthorized"}')
})

t.test('a hook for all routes and a hook for a role validate once', async t => {
  const { service, bearer } = await setup(t)
  const app = Fastify()
  t.teardown(async () => await app.close())
  await app.register(sessionValidation, optionsFor(service, { cache: false }))
  app.addHook('onRequest', app.requireSession())
  app.get('/', { onRequest: app.requireSession({ roles: [guest.role] }) }, async request => request.session!.role)
  const before = await lookups(redis)
  t.equal((await get(app, '/', bearer)).body, guest.role)
  t.equal(await lookups(redis), before + 1)
  t.equal((await get(app, '/nowhere')).statusCode, 401)
})

t.test('an existing validator stays open; the app handles its unexpected errors', async t => {
  const { service, tokens, bearer } = await setup(t)
  const validator = await validatorFor(t, service)
  const app = await bareApp(t, { validator })
  t.equal((await get(app, '/me', bearer)).statusCode, 200)
  await app.close()
  t.match(await validator.validate(tokens.token), { id: 1 })

  const broken = await bareApp(t, { validator: { ...validator, validate: async () => { throw new Error('a bug') } } })
  t.equal((await get(broken, '/me', bearer)).body, 'the app\'s own error')
})

t.test('a validator that the plugin made closes with the app', async t => {
  const service = await build(t, redis)
  const channel = `${service.config.REDIS_PREFIX}events`
  const listeners = async (): Promise<unknown> => (await redis.client.pubsub('NUMSUB', channel) as unknown[])[1]
  const app = await bareApp(t, optionsFor(service))
  await until(async () => await listeners() === 1)
  await app.close()
  await until(async () => await listeners() === 0)
  t.pass('the subscription has ended')
})

t.test('a wrong option rejects the start', async t => {
  await t.rejects(bareApp(t, { redisUrl: 'x' }), { name: 'TypeError', message: /^redisUrl must be/ })
})
