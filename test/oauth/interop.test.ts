import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build as bundle } from 'esbuild'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import t from 'tap'
import {
  claimsOf, environment, guest, postRefresh, postSession, privateKey, secret, startRedis, startService, type ServiceProcess
} from '../support/helper.ts'
import { freePort } from '../support/ports.ts'

// OAuth libraries, unmodified, against a running service: public and confidential clients, sessions with and without a device.

/** With the characters that clients encode differently. */
const shopKey = `${secret()}+/=~`

let service: ServiceProcess
let issuer: string
t.before(async () => {
  const redis = await startRedis(t)
  const port = await freePort()
  issuer = `http://127.0.0.1:${port}`
  service = await startService(t, environment(redis.url, {
    PORT: String(port),
    OAUTH_ISSUER: issuer,
    JWT_ISSUER: issuer,
    ACCESS_TOKEN_FORMAT: 'rfc9068',
    ACCESS_TOKEN_AUDIENCE: 'api',
    ACCESS_TOKEN_PRIVATE_KEYS: privateKey('ES256'),
    INTERNAL_API_KEYS: `shop:oauth+introspect:${shopKey}`
  }))
})

const extra = { device_id: guest.deviceId }
const { deviceId: _, ...noDevice } = guest

let users = 0
/** Opens a session of a new user. */
async function open (session: object): Promise<string> {
  const body = await postSession(service.internalUrl, { ...session, userId: ++users })
  return body.refreshToken
}

const withDevice = (clientId: string): object => ({ ...guest, clientId })
const withoutDevice = (clientId: string): object => ({ ...noDevice, deviceId: undefined, clientId })

/** Whether the session of a refresh token has ended. */
async function hasEnded (refreshToken: string): Promise<boolean> {
  const response = await fetch(`${service.internalUrl}/internal/introspect`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`shop:${encodeURIComponent(shopKey)}`).toString('base64')}` },
    body: new URLSearchParams({ token: refreshToken, token_type_hint: 'refresh_token' })
  })
  return !(await response.json() as { active: boolean }).active
}

t.test('oauth4webapi refreshes, revokes and introspects, as a public and as a confidential client', async t => {
  const insecure = { [oauth.allowInsecureRequests]: true }
  const found = await oauth.processDiscoveryResponse(new URL(issuer),
    await oauth.discoveryRequest(new URL(issuer), { algorithm: 'oauth2', ...insecure }))
  // The internal API is not part of the public metadata.
  const as: oauth.AuthorizationServer = { ...found, introspection_endpoint: `${service.internalUrl}/internal/introspect` }
  const clients: Array<[oauth.Client, oauth.ClientAuth]> = [
    [{ client_id: 'app' }, oauth.None()], [{ client_id: 'shop' }, oauth.ClientSecretBasic(shopKey)]
  ]
  for (const [client, auth] of clients) {
    for (const [session, additionalParameters] of [[withDevice(client.client_id), extra], [withoutDevice(client.client_id), {}]] as const) {
      const options = { additionalParameters, ...insecure }
      const refreshed = await oauth.processRefreshTokenResponse(as, client,
        await oauth.refreshTokenGrantRequest(as, client, auth, await open(session), options))
      t.match(refreshed, { token_type: 'bearer', expires_in: 900 })
      const request = new Request('https://api.example.com', { headers: { authorization: `Bearer ${refreshed.access_token}` } })
      t.match(await oauth.validateJwtAccessToken(as, request, 'api', insecure), { client_id: client.client_id, sub: String(users) }, 'by jwks_uri')
      await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, auth, refreshed.refresh_token!, options))
      t.ok(await hasEnded(refreshed.refresh_token!))
      const again = oauth.processRefreshTokenResponse(as, client,
        await oauth.refreshTokenGrantRequest(as, client, auth, refreshed.refresh_token!, options))
      await t.rejects(again, { name: 'ResponseBodyError', error: 'invalid_grant', status: 400 })
    }
  }
  const [client, auth] = clients[1]!
  const { token } = await postSession(service.internalUrl, { ...guest, userId: 900, clientId: 'shop' })
  const answer = await oauth.introspectionRequest(as, client, auth, token, insecure)
  t.match(await oauth.processIntrospectionResponse(as, client, answer), { active: true, sub: '900' })
  const wrong = await oauth.refreshTokenGrantRequest(as, client, oauth.ClientSecretBasic(`${shopKey}x`), 'x', insecure)
  await t.rejects(oauth.processRefreshTokenResponse(as, client, wrong), { name: 'WWWAuthenticateChallengeError', status: 401 })
})

t.test('openid-client refreshes, revokes and introspects, as a public and as a confidential client', async t => {
  const discover = async (clientId: string, auth: openid.ClientAuth): Promise<openid.Configuration> =>
    await openid.discovery(new URL(issuer), clientId, undefined, auth, { algorithm: 'oauth2', execute: [openid.allowInsecureRequests] })
  for (const [clientId, auth] of [['app', openid.None()], ['shop', openid.ClientSecretBasic(shopKey)]] as const) {
    const config = await discover(clientId, auth)
    for (const [session, parameters] of [[withDevice(clientId), extra], [withoutDevice(clientId), {}]] as const) {
      const refreshed = await openid.refreshTokenGrant(config, await open(session), parameters)
      t.match(refreshed, { token_type: 'bearer', expires_in: 900 })
      t.equal(claimsOf(refreshed.refresh_token!).gen, 2)
      await openid.tokenRevocation(config, refreshed.refresh_token!, parameters)
      t.ok(await hasEnded(refreshed.refresh_token!))
      await t.rejects(openid.refreshTokenGrant(config, refreshed.refresh_token!, parameters), { name: 'ResponseBodyError', error: 'invalid_grant' })
    }
  }
  const server = { issuer, introspection_endpoint: `${service.internalUrl}/internal/introspect` }
  const reader = new openid.Configuration(server, 'shop', undefined, openid.ClientSecretBasic(shopKey))
  openid.allowInsecureRequests(reader)
  t.match(await openid.tokenIntrospection(reader, await open(guest), { token_type_hint: 'refresh_token' }), { active: true, token_use: 'refresh' })
})

t.test('simple-oauth2 refreshes and revokes as a confidential client', async t => {
  const { AuthorizationCode } = createRequire(import.meta.url)('simple-oauth2')
  for (const credentialsEncodingMode of ['strict', 'loose']) {
    const client = new AuthorizationCode({
      client: { id: 'shop', secret: shopKey }, auth: { tokenHost: issuer }, options: { credentialsEncodingMode }
    })
    const opened = client.createToken({ refresh_token: await open(withDevice('shop')), expires_in: 0 })
    t.match((await opened.refresh(extra)).token, { token_type: 'Bearer', expires_in: 900, access_token: String })

    const refreshed = await client.createToken({ refresh_token: await open(withoutDevice('shop')), expires_in: 0 }).refresh()
    await refreshed.revokeAll()
    t.ok(await hasEnded(refreshed.token.refresh_token))
    await t.rejects(refreshed.refresh(), { message: 'Response Error: 400 Bad Request' })
  }
})

t.test('@openid/appauth refreshes as a public client, and revokes sessions without a device', async t => {
  // Its modules need a bundler.
  const outfile = join(t.testdir(), 'appauth.mjs')
  await bundle({ stdin: { contents: 'export * from \'@openid/appauth\'', resolveDir: '.' }, bundle: true, format: 'esm', platform: 'node', outfile })
  const {
    AuthorizationServiceConfiguration, BaseTokenRequestHandler, FetchRequestor, RevokeTokenRequest, TokenRequest
  } = await import(pathToFileURL(outfile).href)
  const requestor = new FetchRequestor()
  const handler = new BaseTokenRequestHandler(requestor)
  const { token_endpoint: token, revocation_endpoint: revocation } =
    await requestor.xhr({ url: `${issuer}/.well-known/oauth-authorization-server`, method: 'GET', dataType: 'json' })
  const configuration = new AuthorizationServiceConfiguration({ token_endpoint: token, revocation_endpoint: revocation, authorization_endpoint: '' })

  for (const [session, extras] of [[withDevice('app'), extra], [withoutDevice('app'), {}]] as const) {
    const refresh = (refreshToken: string): object =>
      new TokenRequest({ client_id: 'app', redirect_uri: 'app:/', grant_type: 'refresh_token', refresh_token: refreshToken, extras })
    const refreshed = await handler.performTokenRequest(configuration, refresh(await open(session)))
    t.match(refreshed, { tokenType: 'Bearer', expiresIn: 900, accessToken: String })
    // It can't send device_id with a revocation.
    if ('device_id' in extras) continue
    t.ok(await handler.performRevokeTokenRequest(configuration, new RevokeTokenRequest({ client_id: 'app', token: refreshed.refreshToken })))
    t.ok(await hasEnded(refreshed.refreshToken))
    await t.rejects(handler.performTokenRequest(configuration, refresh(refreshed.refreshToken)), { message: '400' })
  }
})

t.test('parallel refreshes of a library get one successor', async t => {
  const config = await openid.discovery(new URL(issuer), 'app', undefined, openid.None(), { algorithm: 'oauth2', execute: [openid.allowInsecureRequests] })
  const refreshToken = await open(withDevice('app'))
  const answers = await Promise.all(Array.from({ length: 10 }, async () => await openid.refreshTokenGrant(config, refreshToken, extra)))
  t.equal(new Set(answers.map(({ refresh_token: next }) => next)).size, 1)
})

t.test('the documented endpoint refuses the session of a client', async t => {
  t.equal((await postRefresh(service.publicUrl, await open(withDevice('app')))).status, 400)
})
