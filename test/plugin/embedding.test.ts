import Fastify from 'fastify'
import t from 'tap'
import refreshTokens from '#src/plugin/index'
import { claimsOf, startRedis, until, type PrivateRedis } from '../support/helper.ts'
import { appWith, clientOf, guest, LOGOUT, optionsWith, post, REFRESH } from './helper.ts'

/** The plugin in an app that has its own hooks, serializers and error handlers. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

const keys = ['id', 'email', 'role', 'token', 'refreshToken']
const badRequest = '{"code":400,"message":"Bad Request"}'

t.test('the endpoint refreshes and logs out, with the documented answers', async t => {
  const app = await appWith(t, optionsWith(clientOf(t, redis)))
  const { deviceId } = guest
  const opened = await app.sessions.open(guest)
  t.same(Object.keys(opened), keys)

  const refreshed = await post(app, REFRESH, { deviceId, refreshToken: opened.refreshToken })
  t.equal(refreshed.statusCode, 200)
  t.same(Object.keys(refreshed.json()), keys)
  t.match(refreshed.headers, { 'cache-control': 'no-store', 'content-type': 'application/json; charset=utf-8' })
  t.equal((await post(app, REFRESH, { deviceId, refreshToken: opened.refreshToken })).json().refreshToken, refreshed.json().refreshToken)

  const { refreshToken } = refreshed.json()
  const ended = await post(app, LOGOUT, { deviceId, refreshToken })
  t.match(ended, { statusCode: 204, body: '' })
  const refused = await post(app, REFRESH, { deviceId, refreshToken })
  t.match(refused, { statusCode: 400, body: badRequest, headers: { 'cache-control': 'no-store' } })
  t.equal((await app.inject('/api/ps/refresh')).json().error, 'Not Found', 'every other path belongs to the app')
})

t.test('the app gets one decorator and nothing else', async t => {
  const signals = (): number[] => ['SIGTERM', 'SIGINT', 'SIGHUP'].map(name => process.listenerCount(name))
  const before = signals()
  const app = await appWith(t, optionsWith(clientOf(t, redis), { routes: false }))
  await app.ready()
  t.same(Object.keys(app).filter(name => !(name in Fastify())), ['sessions'])
  t.same(signals(), before)
  t.equal(app.printRoutes(), '(empty tree)')
})

t.test('a host that coerces, wraps answers and has a validator of its own changes no answer', async t => {
  const app = Fastify({ bodyLimit: 100, ajv: { customOptions: { coerceTypes: 'array', removeAdditional: 'all' } } })
  t.teardown(async () => await app.close())
  app.setReplySerializer(() => 'serialized')
  app.setErrorHandler(async () => 'the app\'s own error')
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => () => 'compiled')
  app.addHook('preSerialization', async () => ({ data: 'wrapped' }))
  app.addContentTypeParser('text/plain', { parseAs: 'string' }, (_request, _body, done) => { done(null, {}) })
  await app.register(refreshTokens, optionsWith(clientOf(t, redis)))
  app.post('/own', async () => { throw new Error('x') })

  const { refreshToken } = await app.sessions.open({ ...guest, deviceId: '1' })
  const refused = {
    'a number': { deviceId: 1, refreshToken },
    'a list': { deviceId: ['1'], refreshToken },
    'no JSON': '{',
    'no body': '',
    'a blank': { deviceId: ' ', refreshToken }
  }
  for (const [what, body] of Object.entries(refused)) {
    t.match(await post(app, REFRESH, body), { statusCode: 400, body: badRequest, headers: { 'cache-control': 'no-store' } }, what)
  }
  const text = JSON.stringify({ deviceId: '1', refreshToken })
  t.match(await post(app, REFRESH, text, { 'content-type': 'text/plain' }), { statusCode: 400, body: badRequest })
  t.match(await post(app, REFRESH, `{"more":"${'x'.repeat(33 * 1024)}",${text.slice(1)}`), { statusCode: 400, body: badRequest })
  t.match(await post(app, REFRESH, text, { 'idempotency-key': '"' }), { statusCode: 400, body: badRequest })
  const refreshed = await post(app, REFRESH, `{"more":"${'x'.repeat(200)}",${text.slice(1)}`, { 'idempotency-key': '"key"' })
  t.same(Object.keys(refreshed.json()), keys, 'a longer body than the app accepts elsewhere, with an unknown field')
  t.equal((await post(app, '/own', {})).body, 'the app\'s own error')
  t.match(await post(app, LOGOUT, text), { statusCode: 204, body: '' })
})

t.test('the hooks of the app run, and their errors have the documented form', async t => {
  const app = Fastify()
  t.teardown(async () => await app.close())
  let statusCode: number | undefined
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('x-own', 'yes')
    if (statusCode !== undefined) throw Object.assign(new Error('from a hook'), { statusCode })
  })
  await app.register(refreshTokens, optionsWith(clientOf(t, redis)))
  t.equal((await post(app, REFRESH, {})).headers['x-own'], 'yes')
  const answers: Array<[number, number, string]> = [
    [429, 429, 'Too Many Requests'], [401, 401, 'Unauthorized'], [418, 400, 'Bad Request'], [503, 500, 'Internal Error']
  ]
  for (const [thrown, code, message] of answers) {
    statusCode = thrown
    const response = await post(app, REFRESH, {})
    t.match(response, { statusCode: code, body: JSON.stringify({ code, message }), headers: { 'x-own': 'yes', 'cache-control': 'no-store' } })
  }
})

t.test('two instances with their own prefixes, keys and names live in one app', async t => {
  const client = clientOf(t, redis)
  const app = await appWith(t, optionsWith(client))
  await app.register(refreshTokens, optionsWith(client, { decoratorName: 'adminSessions', routes: { prefix: '/admin/tokens' } }))
  const [user, admin] = [await app.sessions.open(guest), await app.adminSessions.open(guest)]
  const { deviceId } = guest
  t.equal((await post(app, REFRESH, { deviceId, refreshToken: admin.refreshToken })).statusCode, 400)
  t.equal((await post(app, '/admin/tokens/refresh', { deviceId, refreshToken: admin.refreshToken })).statusCode, 200)
  t.equal((await post(app, REFRESH, { deviceId, refreshToken: user.refreshToken })).statusCode, 200)
  await t.rejects(app.sessions.verify(admin.token), { statusCode: 401, code: 'RTS_ACCESS_REFUSED' })
  t.match(await app.adminSessions.verify(admin.token), { id: guest.userId })
})

t.test('a second instance without decoratorName fails, and the error suggests one', async t => {
  const client = clientOf(t, redis)
  const app = await appWith(t, optionsWith(client))
  await t.rejects(async () => await app.register(refreshTokens, optionsWith(client)), { name: 'TypeError', message: /sessions.*decoratorName: 'adminSessions'/ })
})

t.test('a scope of the app keeps its instance to itself', async t => {
  const app = Fastify()
  t.teardown(async () => await app.close())
  await app.register(async scope => {
    await scope.register(refreshTokens, optionsWith(clientOf(t, redis)))
    t.ok(scope.hasDecorator('sessions'))
  }, { prefix: '/inner' })
  t.notOk(app.hasDecorator('sessions'))
  t.equal((await post(app, `/inner${REFRESH}`, {})).body, badRequest)
})

t.test('closing the app leaves the given client connected, without listeners of ours', async t => {
  const client = clientOf(t, redis)
  await client.ping()
  const listeners = (): number => client.eventNames().reduce((sum, name) => sum + client.listenerCount(name), 0)
  const before = listeners()
  const app = await appWith(t, optionsWith(client))
  await app.sessions.open(guest)
  await app.close()
  t.equal(await client.ping(), 'PONG')
  t.equal(listeners(), before)
})

t.test('the plugin connects to an address, and closes its connection with the app', async t => {
  const app = await appWith(t, optionsWith(redis.url))
  const { token } = await app.sessions.open(guest)
  t.match(await app.sessions.verify(token), { id: guest.userId, sid: claimsOf(token).sid })
  const clients = async (): Promise<number> => (await redis.client.client('LIST') as string).split('name=refresh-token-service').length
  const connected = await clients()
  await app.close()
  await until('the connection has ended', async () => await clients() < connected)
})
