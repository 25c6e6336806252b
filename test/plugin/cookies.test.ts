import fastifyCookie from '@fastify/cookie'
import Fastify, { type FastifyInstance, type LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import refreshTokens, { type RefreshTokensOptions } from '#src/plugin/index'
import { claimsOf, startRedis } from '../support/helper.ts'
import { clientOf, guest, optionsWith } from './helper.ts'

/** The cookies of the plugin: `app.sessions.openWithCookie`, and the routes beside the cookies of the app itself. */

const REFRESH = '/api/ps/session/refresh'
const LOGOUT = '/api/ps/session/logout'

const redis = await startRedis(t)

/** An app with a log-in; `prepare` runs before the plugin. */
async function appWithLogin (
  t: Test, overrides: Partial<RefreshTokensOptions>, prepare = async (_app: FastifyInstance): Promise<void> => {}
): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(async () => await app.close())
  await prepare(app)
  await app.register(refreshTokens, optionsWith(clientOf(t, redis), overrides))
  app.post('/login', async (_request, reply) => await app.sessions.openWithCookie(guest, reply))
  return app
}

const cookies = ({ headers }: LightMyRequestResponse): string[] => [headers['set-cookie'] ?? []].flat()

t.test('a log-in sets the cookie and answers without the refresh token', async t => {
  const app = await appWithLogin(t, { cookieSessions: 'on', cookieSameSite: 'lax' })
  const response = await app.inject({ method: 'POST', url: '/login' })
  t.same(Object.keys(response.json()), ['id', 'email', 'role', 'token'])
  const [cookie] = cookies(response)
  t.match(cookie, /^__Host-refresh=\w+\.eyJ[\w.-]+; Max-Age=2592000; Path=\/; HttpOnly; Secure; SameSite=Lax$/)
  const refreshed = await app.inject({ method: 'POST', url: REFRESH, headers: { cookie: cookie!.split(';')[0]! } })
  t.equal(claimsOf(refreshed.json().token).sid, claimsOf(response.json().token).sid)
  const loggedOut = await app.inject({ method: 'POST', url: LOGOUT, headers: { cookie: cookies(refreshed)[0]!.split(';')[0]! } })
  t.equal(loggedOut.statusCode, 204)
  t.same(await app.sessions.list(guest.userId), [])
})

t.test('openWithCookie opens nothing for wrong arguments, for an OAuth client, and without the option', async t => {
  const app = await appWithLogin(t, { cookieSessions: 'on' })
  const reply = {} as never
  await t.rejects(app.sessions.openWithCookie({ ...guest, email: 'x' }, reply), { statusCode: 400, message: /^open: email/ })
  await t.rejects(app.sessions.openWithCookie({ ...guest, clientId: 'app' } as typeof guest, reply), { statusCode: 400, message: /clientId/ })
  t.same(await app.sessions.list(guest.userId), [])
  const without = await appWithLogin(t, {})
  await t.rejects(without.sessions.openWithCookie(guest, reply), { statusCode: 500, code: 'RTS_COOKIES_ARE_OFF', message: /cookieSessions: 'on'/ })
  t.same(await without.sessions.list(guest.userId), [])
  t.equal((await without.inject({ method: 'POST', url: REFRESH })).statusCode, 404)
})

t.test('the plugin works beside the app\'s own cookie plugin', async t => {
  const app = await appWithLogin(t, { cookieSessions: 'on' }, async app => {
    await app.register(fastifyCookie, { parseOptions: { encode: () => 'encoded', domain: 'example.com' } })
    app.addHook('onRequest', async (_request, reply) => { reply.setCookie('own', 'x') })
  })
  const response = await app.inject({ method: 'POST', url: '/login' })
  const cookie = cookies(response).find(text => text.startsWith('__Host-'))!.split(';')[0]!
  t.same(cookies(response).map(text => text.split('=')[0]).sort(), ['__Host-refresh', 'own'])
  const refreshed = await app.inject({ method: 'POST', url: REFRESH, headers: { cookie: `${cookie}; own=encoded` } })
  t.equal(refreshed.statusCode, 200)
  t.same(cookies(refreshed).map(text => text.split('=')[0]).sort(), ['__Host-refresh', 'own'])
})

t.test('our routes ignore the app\'s serializer, hook and error handler', async t => {
  const app = await appWithLogin(t, { cookieSessions: 'on' }, async app => {
    app.setReplySerializer(() => 'serialized')
    app.setErrorHandler(async () => 'the app\'s own error')
    app.addHook('preSerialization', async () => ({ data: 'wrapped' }))
  })
  const [cookie] = [(await app.inject({ method: 'POST', url: '/login' }))].flatMap(cookies).map(text => text.split(';')[0]!)
  const refreshed = await app.inject({ method: 'POST', url: REFRESH, headers: { cookie: cookie! } })
  t.same(Object.keys(refreshed.json()), ['id', 'email', 'role', 'token'])
  t.equal((await app.inject({ method: 'POST', url: REFRESH })).body, '{"code":400,"message":"Bad Request"}')
  const foreign = await app.inject({ method: 'POST', url: LOGOUT, headers: { 'sec-fetch-site': 'cross-site' } })
  t.equal(foreign.body, '{"code":403,"message":"Forbidden"}')
  t.match(await app.inject({ method: 'POST', url: LOGOUT }), { statusCode: 204, body: '' })
})

t.test('same-site pages of corsOrigins, and pages of oauthIssuer, may use the cookie', async t => {
  const app = await appWithLogin(t, { cookieSessions: 'on', corsOrigins: ['https://a.example', 'https://b.example'], oauthIssuer: 'https://c.example' })
  const statusOf = async (headers: Record<string, string>): Promise<number> => (await app.inject({ method: 'POST', url: LOGOUT, headers })).statusCode
  for (const origin of ['https://a.example', 'https://b.example']) t.equal(await statusOf({ origin, 'sec-fetch-site': 'same-site' }), 204)
  t.equal(await statusOf({ origin: 'https://c.example' }), 204)
  t.equal(await statusOf({ origin: 'https://d.example', 'sec-fetch-site': 'same-site' }), 403)
})
