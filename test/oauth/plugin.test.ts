import t from 'tap'
import { guest, privateKey, startRedis, type PrivateRedis } from '../support/helper.ts'
import { appWith, clientOf, optionsWith, post, REFRESH } from '../plugin/helper.ts'
import { basic, errorOf, ISSUER, refreshForm, REVOKE, send, shopKey, TOKEN } from './helper.ts'

// OAuth in the app of another, by the option `oauthIssuer`.

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

const device = { device_id: guest.deviceId }

t.test('an app has the routes, the metadata and the keys, for public clients', async t => {
  const app = await appWith(t, optionsWith(clientOf(t, redis), {
    oauthIssuer: ISSUER, accessTokenPrivateKeys: privateKey('EdDSA'), claims: () => ({ scope: 'read' })
  }))
  const service = { public: app }
  const { refreshToken } = await app.sessions.open({ ...guest, clientId: 'app' })
  const response = await send(service, TOKEN, refreshForm(refreshToken, { ...device, client_id: 'app' }))
  t.match(response.json(), { token_type: 'Bearer', expires_in: 900, scope: 'read' }, 'with the scope of the option claims')
  t.equal((await send(service, REVOKE, { token: response.json().refresh_token, ...device, client_id: 'app' })).statusCode, 200)
  t.same(await app.sessions.list(guest.userId), [])
  t.same(errorOf(await send(service, TOKEN, refreshForm(refreshToken, device), basic('shop', shopKey))), [401, 'invalid_client'])
  const metadata = (await app.inject('/.well-known/oauth-authorization-server')).json()
  t.match(metadata, { issuer: ISSUER, token_endpoint_auth_methods_supported: ['none'], revocation_endpoint_auth_methods_supported: ['none'] })
  t.match((await app.inject(new URL(metadata.jwks_uri).pathname)).json(), { keys: [{ kty: 'OKP', use: 'sig' }] })
})

t.test('the parser, the validator and the error handler of the app do not reach the routes, and its hooks do', async t => {
  const app = await appWith(t, optionsWith(clientOf(t, redis), { oauthIssuer: ISSUER }))
  app.setErrorHandler((_error, _request, reply) => { reply.code(418).send('the app') })
  app.setSerializerCompiler(() => () => '"the app"')
  app.addHook('onRequest', async ({ headers }) => {
    if (headers['x-refuse'] !== undefined) throw Object.assign(new Error('refused'), { statusCode: Number(headers['x-refuse']) })
  })
  app.post('/form', async ({ body }) => ({ body: typeof body }))
  const service = { public: app }
  const { refreshToken } = await app.sessions.open(guest)
  t.same(errorOf(await send(service, TOKEN, '%')), [400, 'invalid_request'])
  t.same(errorOf(await send(service, TOKEN, '', { 'x-refuse': '403' })), [403, 'invalid_request'])
  t.same(errorOf(await send(service, TOKEN, '', { 'x-refuse': '429' })), [429, 'temporarily_unavailable'])
  t.same(errorOf(await send(service, TOKEN, '', { 'x-refuse': '502' })), [503, 'temporarily_unavailable'])
  t.equal((await send(service, TOKEN, refreshForm(refreshToken, device))).statusCode, 200)
  t.match((await app.inject('/.well-known/jwks.json')).json(), { keys: [] })
  t.equal((await send(service, '/form', 'a=b')).statusCode, 418, 'the app itself takes no forms')
})

t.test('without the option, or with routes: false, the app has none of the routes', async t => {
  for (const options of [{}, { oauthIssuer: ISSUER, routes: false as const }]) {
    const app = await appWith(t, optionsWith(clientOf(t, redis), options))
    for (const url of [TOKEN, REVOKE]) t.equal((await send({ public: app }, url, '')).statusCode, 404)
    for (const name of ['oauth-authorization-server', 'jwks.json']) t.equal((await app.inject(`/.well-known/${name}`)).statusCode, 404)
    t.equal((await post(app, REFRESH, {})).statusCode, 'routes' in options ? 404 : 400)
  }
})

t.test('a wrong issuer is refused by its name', async t => {
  for (const oauthIssuer of ['', 'id.example.com', 'https://id.example.com/', 'http://id.example.com', 'https://id.example.com/path', 1 as never]) {
    await t.rejects(appWith(t, optionsWith(clientOf(t, redis), { oauthIssuer })), { message: /^oauthIssuer must be/ }, String(oauthIssuer))
  }
  const other = optionsWith(clientOf(t, redis), { oauthIssuer: ISSUER, accessTokenFormat: 'rfc9068', accessTokenAudience: 'api' })
  await t.rejects(appWith(t, other), { message: /^oauthIssuer must be the jwtIssuer when accessTokenFormat is rfc9068/ })
})
