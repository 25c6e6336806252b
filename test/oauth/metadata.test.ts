import t from 'tap'
import { proofAlgorithms } from '#src/dpop/proof'
import { oauthMetadata } from '#src/oauth/metadata'
import { privateKey, startRedis, type PrivateRedis } from '../support/helper.ts'
import { buildOauth, ISSUER } from './helper.ts'

// GET /.well-known/oauth-authorization-server (RFC 8414).

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

const PATH = '/.well-known/oauth-authorization-server'

t.test('the metadata name what the service has', async t => {
  const service = await buildOauth(t, redis)
  const response = await service.public.inject(PATH)
  t.match(response.headers, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'public, max-age=300' })
  t.same(response.json(), {
    issuer: ISSUER,
    token_endpoint: `${ISSUER}/oauth/token`,
    revocation_endpoint: `${ISSUER}/oauth/revoke`,
    jwks_uri: `${ISSUER}/.well-known/jwks.json`,
    response_types_supported: [],
    grant_types_supported: ['refresh_token'],
    token_endpoint_auth_methods_supported: ['none', 'client_secret_basic'],
    revocation_endpoint_auth_methods_supported: ['none', 'client_secret_basic']
  })
  t.equal((await service.public.inject({ method: 'HEAD', url: PATH })).statusCode, 200)
  t.equal((await service.internal.inject(PATH)).statusCode, 404, 'the internal listener has none')
})

t.test('the key set is where the metadata say', async t => {
  const service = await buildOauth(t, redis, { ACCESS_TOKEN_PRIVATE_KEYS: privateKey('ES256') })
  const { pathname } = new URL((await service.public.inject(PATH)).json().jwks_uri)
  t.match((await service.public.inject(pathname)).json(), { keys: [{ kty: 'EC' }] })
})

t.test('with DPoP the metadata name the algorithms of proofs', async t => {
  const options = { issuer: ISSUER, hasConfidentialClients: true }
  t.same(oauthMetadata({ ...options, hasProofs: true }).dpop_signing_alg_values_supported, [...proofAlgorithms])
  t.notOk('dpop_signing_alg_values_supported' in oauthMetadata({ ...options, hasProofs: false }))
})
