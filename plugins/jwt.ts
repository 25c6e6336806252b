import fastifyJwt, { type JWT } from '@fastify/jwt'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { RunnableConfig } from '../src/config.ts'
import { leavesSigningToSecrets } from '../src/key-files.ts'
import { createHs512Signer, encodeHeader } from '../src/tokens/hmac.ts'
import { parseKeys } from '../src/tokens/keys.ts'
import { parsePrivateKeys, type PrivateKey, type PublicJwk } from '../src/tokens/private-keys.ts'
import { createTokens, type KeyedJwt, type Tokens } from '../src/tokens/tokens.ts'

/** What @fastify/jwt takes for one key. */
interface SigningKey {
  kid: string
  algorithm: 'HS512' | PrivateKey['algorithm']
  secret: Buffer | { private: string, public: string }
}

/**
 * `app.tokens`: signs and verifies through @fastify/jwt, which is registered once a key so that signing and verifying
 * stay synchronous; what a secret signs goes through node:crypto, in half the time. Algorithm, issuer and subject are
 * pinned here (RFC 8725 section 3.1): an access token is never taken for a refresh token, whatever its key. `app.jwks`:
 * the public keys of access tokens.
 */
export default fp(async app => {
  const { config } = app
  const privateKeys = parsePrivateKeys(config.ACCESS_TOKEN_PRIVATE_KEYS ?? '')
  const issuer = config.JWT_ISSUER

  app.decorate('tokens', createTokens({
    issuer,
    accessTtl: config.ACCESS_TOKEN_TTL,
    refresh: await registerAll(app, 'Refresh', issuer, secretKeys(config.REFRESH_TOKEN_SECRETS)),
    access: await registerAll(app, 'Authentication', issuer, accessKeys(config, privateKeys))
  }))
  app.decorate('jwks', privateKeys.map(({ jwk }) => jwk))
}, { name: 'jwt' })

function secretKeys (list: string): SigningKey[] {
  return parseKeys(list).map(({ kid, secret }) => ({ kid, algorithm: 'HS512', secret }))
}

/** Private keys sign before secrets do, unless the list of keys says otherwise. */
function accessKeys ({ ACCESS_TOKEN_SECRETS: secrets, ACCESS_TOKEN_PRIVATE_KEYS: list = '' }: RunnableConfig, privateKeys: PrivateKey[]): SigningKey[] {
  const bySecret = secrets === undefined ? [] : secretKeys(secrets)
  const byKey = privateKeys.map(key => ({ ...key, secret: { private: key.private, public: key.public } }))
  return leavesSigningToSecrets(list) ? [...bySecret, ...byKey] : [...byKey, ...bySecret]
}

type Keyed = [KeyedJwt, ...KeyedJwt[]]

async function registerAll (app: FastifyInstance, sub: string, issuer: string, keys: SigningKey[]): Promise<Keyed> {
  const registered = []
  for (const key of keys) registered.push(await register(app, sub, issuer, key))
  return registered as Keyed
}

async function register (app: FastifyInstance, sub: string, issuer: string, { kid, algorithm, secret }: SigningKey): Promise<KeyedJwt> {
  const namespace = `${sub}-${kid}`
  await app.register(fastifyJwt, {
    namespace,
    secret,
    sign: { algorithm, kid },
    verify: {
      algorithms: [algorithm],
      allowedIss: issuer,
      allowedSub: sub,
      requiredClaims: ['iss', 'sub'],
      // The session's record judges by Redis's clock.
      ignoreExpiration: true,
      cache: false
    }
  })
  const jwt = (app.jwt as unknown as Record<string, JWT>)[namespace]!
  const sign = algorithm === 'HS512' ? createHs512Signer(kid, secret as Buffer) : (claims: object) => jwt.sign(claims)
  return { header: encodeHeader(algorithm, kid), sign, verify: token => jwt.verify<object>(token) }
}

declare module 'fastify' {
  interface FastifyInstance {
    tokens: Tokens
    /** Of every key of `ACCESS_TOKEN_PRIVATE_KEYS`; none with secrets alone. */
    jwks: PublicJwk[]
  }
}
