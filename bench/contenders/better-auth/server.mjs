// better-auth: the refresh token grant of its OAuth provider. A refresh issues the defaults for the scopes
// `openid offline_access`: an opaque access token, an opaque refresh token, and an ID token signed with EdDSA.
import { createHash, randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { oauthProvider } from '@better-auth/oauth-provider'
import { betterAuth } from 'better-auth'
import { toNodeHandler } from 'better-auth/node'
import { jwt } from 'better-auth/plugins/jwt'
import { secret, serve, user } from '../serve.mjs'
import { redisAdapter } from './adapter.mjs'

const clientId = 'bench'
const scopes = ['openid', 'offline_access']

const auth = betterAuth({
  baseURL: 'http://127.0.0.1',
  secret: secret(),
  database: redisAdapter,
  // Disabled: it counts requests by address, and all requests of the bench come from one.
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  logger: { disabled: true },
  plugins: [jwt(), oauthProvider({
    loginPage: '/login',
    consentPage: '/consent',
    refreshTokenReuseInterval: Number(process.env.REUSE_INTERVAL),
    silenceWarnings: { oauthAuthServerConfig: true, openidConfig: true }
  })]
})
const { adapter } = await auth.$context

await adapter.create({
  model: 'oauthClient',
  data: {
    clientId,
    name: clientId,
    public: true,
    tokenEndpointAuthMethod: 'none',
    grantTypes: ['authorization_code', 'refresh_token'],
    responseTypes: ['code'],
    redirectUris: ['http://127.0.0.1/callback'],
    scopes,
    createdAt: new Date(),
    updatedAt: new Date()
  }
})

/** Creates the rows that a log-in by authorization code creates. */
async function open (i) {
  const { email } = user(i)
  const now = new Date()
  const { id: userId } = await adapter.create({
    model: 'user', data: { name: email, email, emailVerified: true, createdAt: now, updatedAt: now }
  })
  const token = randomBytes(24).toString('base64url')
  await adapter.create({
    model: 'oauthRefreshToken',
    data: {
      token: createHash('sha256').update(token).digest('base64url'),
      clientId,
      userId,
      scopes,
      createdAt: now,
      authTime: now,
      expiresAt: new Date(now.getTime() + 30 * 24 * 3600 * 1000)
    }
  })
  return token
}

await serve(createServer(toNodeHandler(auth)), open)
