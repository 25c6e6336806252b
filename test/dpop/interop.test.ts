import Fastify from 'fastify'
import * as dpop from 'dpop'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import t, { type Test } from 'tap'
import { sessionValidation } from '../../packages/validator/src/fastify.ts'
import { build, guest, startRedis, type PrivateRedis, type TokensBody } from '../support/helper.ts'
import { optionsFor } from '../validator/helper.ts'

/** Libraries of clients, unmodified, at the documented endpoint and at an API. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

interface Place {
  /** The address of the endpoint. */
  refreshUrl: string
  /** The address of an API that accepts only live sessions. */
  apiUrl: string
  open (jkt?: string): Promise<TokensBody>
}

async function start (t: Test): Promise<Place> {
  const service = await build(t, redis, { DPOP: 'required' })
  const origin = await service.public.listen({ host: '127.0.0.1', port: 0 })
  const app = Fastify()
  t.teardown(async () => await app.close())
  await app.register(sessionValidation, optionsFor(service))
  app.post('/pay', { onRequest: app.requireSession() }, async request => request.session)
  const api = await app.listen({ host: '127.0.0.1', port: 0 })
  return { refreshUrl: `${origin}/api/ps/refresh`, apiUrl: `${api}/pay?amount=1`, open: async jkt => await service.open(jkt === undefined ? {} : { jkt }) }
}

async function refresh (url: string, refreshToken: string, proof: string): Promise<TokensBody> {
  const response = await fetch(url, {
    method: 'POST', headers: { 'content-type': 'application/json', dpop: proof }, body: JSON.stringify({ deviceId: guest.deviceId, refreshToken })
  })
  if (response.status !== 200) throw new Error(`refresh: ${response.status}`)
  return await response.json() as TokensBody
}

for (const algorithm of ['ES256', 'Ed25519'] as const) {
  t.test(`dpop: a session that is opened with its thumbprint is refreshed and used, ${algorithm}`, async t => {
    const { refreshUrl, apiUrl, open } = await start(t)
    const keys = await dpop.generateKeyPair(algorithm)
    const jkt = await dpop.calculateThumbprint(keys.publicKey)
    const { refreshToken } = await open(jkt)
    const { token } = await refresh(refreshUrl, refreshToken, await dpop.generateProof(keys, refreshUrl, 'POST'))
    const proof = await dpop.generateProof(keys, apiUrl.split('?')[0]!, 'POST', undefined, token)
    const answer = await fetch(apiUrl, { method: 'POST', headers: { authorization: `DPoP ${token}`, dpop: proof } })
    t.equal(answer.status, 200)
    t.match(await answer.json(), { id: guest.userId, jkt })
    const replayed = await fetch(apiUrl, { method: 'POST', headers: { authorization: `DPoP ${token}`, dpop: proof } })
    t.equal(replayed.status, 401)
    t.match(replayed.headers.get('www-authenticate'), /^DPoP error="invalid_dpop_proof"/)
  })
}

t.test('oauth4webapi calls the API with the access token of a bound session', async t => {
  const { refreshUrl, apiUrl, open } = await start(t)
  const keys = await oauth.generateKeyPair('ES256')
  const { refreshToken } = await open()
  const { token } = await refresh(refreshUrl, refreshToken, await dpop.generateProof(keys as dpop.KeyPair, refreshUrl, 'POST'))
  const call = async (keys: oauth.CryptoKeyPair): Promise<Response> =>
    await oauth.protectedResourceRequest(token, 'POST', new URL(apiUrl), undefined, null, { DPoP: oauth.DPoP({}, keys), [oauth.allowInsecureRequests]: true })
  t.equal((await call(keys)).status, 200)
  await t.rejects(call(await oauth.generateKeyPair('ES256')), { name: 'WWWAuthenticateChallengeError', cause: [{ scheme: 'dpop', parameters: { error: 'invalid_dpop_proof' } }] })
})

t.test('openid-client calls the API with the access token of a bound session', async t => {
  const { refreshUrl, apiUrl, open } = await start(t)
  const keys = await openid.randomDPoPKeyPair('ES256')
  const { refreshToken } = await open()
  const { token } = await refresh(refreshUrl, refreshToken, await dpop.generateProof(keys as dpop.KeyPair, refreshUrl, 'POST'))
  const config = new openid.Configuration({ issuer: new URL(refreshUrl).origin }, 'app', undefined, openid.None())
  openid.allowInsecureRequests(config)
  const DPoP = openid.getDPoPHandle(config, keys)
  const answer = await openid.fetchProtectedResource(config, token, new URL(apiUrl), 'POST', undefined, undefined, { DPoP })
  t.equal(answer.status, 200)
})
