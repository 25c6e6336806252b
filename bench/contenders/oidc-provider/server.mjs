// node-oidc-provider: the refresh token grant with rotation. A refresh issues the defaults for the scopes
// `openid offline_access`: an opaque access token, an opaque refresh token, and an ID token signed with RS256.
import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import { Provider } from 'oidc-provider'
import { secret, serve, user } from '../serve.mjs'
import { RedisAdapter } from './adapter.mjs'

const clientId = 'bench'
const scope = 'openid offline_access'
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })

const provider = new Provider('http://127.0.0.1', {
  adapter: RedisAdapter,
  clients: [{
    client_id: clientId,
    token_endpoint_auth_method: 'none',
    application_type: 'native',
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: ['http://127.0.0.1/callback']
  }],
  rotateRefreshToken: true,
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig' }] },
  cookies: { keys: [secret()] },
  findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id, ...user(Number(id)) }) }),
  features: { devInteractions: { enabled: false } },
  // The defaults, set explicitly to avoid a notice about them at the start.
  ttl: { AccessToken: 3600, IdToken: 3600, Grant: 14 * 24 * 3600, RefreshToken: 14 * 24 * 3600 }
})

async function open (i) {
  const accountId = String(i)
  const grant = new provider.Grant({ accountId, clientId })
  grant.addOIDCScope(scope)
  const token = new provider.RefreshToken({
    accountId,
    client: await provider.Client.find(clientId),
    grantId: await grant.save(),
    gty: 'authorization_code',
    scope,
    authTime: Math.floor(Date.now() / 1000)
  })
  return await token.save()
}

await serve(createServer(provider.callback()), open)
