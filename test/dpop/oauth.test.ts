import * as dpop from 'dpop'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import t, { type Test } from 'tap'
import { build, claimsOf, guest, startRedis, type PrivateRedis, type Service } from '../support/helper.ts'
import { freePort } from '../support/ports.ts'

// Libraries of OAuth clients, unmodified, refresh sessions with their keys at POST /oauth/token; a browser does so with its cookie.

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

const extra = { device_id: guest.deviceId }
const insecure = { [oauth.allowInsecureRequests]: true }

/** Seconds by which the client's clock is wrong: both libraries date their proofs ten minutes back. */
const SLOW = -600

interface Place { service: Service, issuer: string }

async function start (t: Test, settings: Record<string, string>): Promise<Place> {
  const port = await freePort()
  const issuer = `http://127.0.0.1:${port}`
  const service = await build(t, redis, { OAUTH_ISSUER: issuer, ...settings })
  await service.public.listen({ host: '127.0.0.1', port })
  return { service, issuer }
}

const cnfOf = (token: string): unknown => (claimsOf(token) as { cnf?: unknown }).cnf

type Refresh = (refreshToken: string, keys?: oauth.CryptoKeyPair, clockSkew?: number) => Promise<oauth.TokenEndpointResponse>

async function refreshWithOauth4webapi (issuer: string): Promise<Refresh> {
  const answer = await oauth.discoveryRequest(new URL(issuer), { algorithm: 'oauth2', ...insecure })
  const as = await oauth.processDiscoveryResponse(new URL(issuer), answer)
  return async (refreshToken, keys, clockSkew = 0) => {
    const client: oauth.Client = { client_id: 'app', [oauth.clockSkew]: clockSkew }
    const options = { additionalParameters: extra, ...keys && { DPoP: oauth.DPoP(client, keys) }, ...insecure }
    const response = await oauth.refreshTokenGrantRequest(as, client, oauth.None(), refreshToken, options)
    return await oauth.processRefreshTokenResponse(as, client, response)
  }
}

async function refreshWithOpenidClient (issuer: string): Promise<Refresh> {
  return async (refreshToken, keys, clockSkew = 0) => {
    const config = await openid.discovery(new URL(issuer), 'app', { [openid.clockSkew]: clockSkew }, openid.None(),
      { algorithm: 'oauth2', execute: [openid.allowInsecureRequests] })
    return await openid.refreshTokenGrant(config, refreshToken, extra, keys && { DPoP: openid.getDPoPHandle(config, keys) })
  }
}

for (const [name, refreshWith] of Object.entries({ oauth4webapi: refreshWithOauth4webapi, 'openid-client': refreshWithOpenidClient })) {
  t.test(`${name}: its first refresh with a key binds the session`, async t => {
    const { service, issuer } = await start(t, { DPOP: 'optional' })
    const refresh = await refreshWith(issuer)
    const keys = await oauth.generateKeyPair('ES256')
    const { refreshToken } = await service.open({ clientId: 'app' })

    const unbound = await refresh(refreshToken)
    t.match(unbound, { token_type: 'bearer' })
    await t.rejects(refresh(unbound.refresh_token!, keys, SLOW), { name: 'ResponseBodyError', error: 'invalid_dpop_proof', status: 400 }, 'a clock that is ten minutes slow')
    const bound = await refresh(unbound.refresh_token!, keys)
    t.match(bound, { token_type: 'dpop', expires_in: 900 })
    t.same(cnfOf(bound.access_token), { jkt: await dpop.calculateThumbprint(keys.publicKey) })

    await t.rejects(refresh(bound.refresh_token!), { name: 'ResponseBodyError', error: 'invalid_grant', status: 400 }, 'without a proof')
    await t.rejects(refresh(bound.refresh_token!, await oauth.generateKeyPair('ES256')), { name: 'ResponseBodyError', error: 'invalid_grant', status: 400 }, 'with another key')
    await t.rejects(refresh(bound.refresh_token!, keys, SLOW), { name: 'ResponseBodyError', error: 'invalid_dpop_proof', status: 400 })
    const repeated = await refresh(unbound.refresh_token!, keys)
    t.equal(repeated.refresh_token, bound.refresh_token, 'a lost answer is repeated with a new proof')
    t.match(await refresh(bound.refresh_token!, keys), { token_type: 'dpop' })
  })

  t.test(`${name}: with DPOP=required, a refresh without a proof is refused`, async t => {
    const { service, issuer } = await start(t, { DPOP: 'required' })
    const refresh = await refreshWith(issuer)
    const { refreshToken } = await service.open({ clientId: 'app' })
    await t.rejects(refresh(refreshToken), { name: 'ResponseBodyError', error: 'invalid_dpop_proof', status: 400 })
    t.match(await refresh(refreshToken, await oauth.generateKeyPair('Ed25519')), { token_type: 'dpop' })
  })
}

t.test('the cookie of a bound session is refreshed only with a proof by its key', async t => {
  const { service, issuer } = await start(t, { DPOP: 'optional', COOKIE_SESSIONS: 'on', REFRESH_RETRY_WINDOW: '0' })
  const url = `${issuer}/api/ps/session/refresh`
  const keys = await dpop.generateKeyPair('ES256')
  const jkt = await dpop.calculateThumbprint(keys.publicKey)
  const cookieOf = (setCookie: unknown): string => String(setCookie).split(';')[0]!
  const refresh = async (cookie: string, key?: dpop.KeyPair, htu = url): Promise<Response> =>
    await fetch(url, { method: 'POST', headers: { cookie, ...key && { dpop: await dpop.generateProof(key, htu, 'POST') } } })

  const cookie = cookieOf((await service.call('POST', '/internal/sessions', { ...guest, jkt })).headers['set-cookie'])
  for (const [what, refused] of Object.entries({
    'no proof': await refresh(cookie),
    'another key': await refresh(cookie, await dpop.generateKeyPair('ES256')),
    'another address': await refresh(cookie, keys, `${issuer}/api/ps/refresh`)
  })) {
    t.equal(refused.status, 400, what)
    t.same(await refused.json(), { code: 400, message: 'Bad Request' }, what)
    t.equal(refused.headers.get('set-cookie'), null, what)
  }
  const first = await refresh(cookie, keys)
  t.equal(first.status, 200)
  t.same(cnfOf((await first.json() as { token: string }).token), { jkt })
  t.equal((await refresh(cookieOf(first.headers.get('set-cookie')), keys)).status, 200)
})
