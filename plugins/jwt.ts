import fastifyJwt, { type JWT } from '@fastify/jwt'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { signingKeys, type SigningKey } from '#src/config/signing-keys'
import { createHs512Signer, encodeHeader } from '#src/tokens/hmac'
import { parsePrivateKeys, type PublicJwk } from '#src/tokens/private-keys'
import { withLowerS } from '#src/tokens/signature'
import { createTokens, type KeyedJwt, type Tokens } from '#src/tokens/tokens'

/**
 * `app.tokens`: signs and verifies through @fastify/jwt, which is registered once for each key so that both stay
 * synchronous. Signing with a secret uses node:crypto instead, which takes half the time. Algorithm, issuer and subject are
 * pinned here (RFC 8725 section 3.1), so that no access token is accepted as a refresh token, even with the same key.
 * `app.jwks`: the public keys of access tokens.
 */
export default fp(async app => {
  const { config } = app
  const issuer = config.JWT_ISSUER
  const keys = signingKeys(config)

  app.decorate('tokens', createTokens({
    issuer,
    accessTtl: config.ACCESS_TOKEN_TTL,
    refresh: await registerAll(app, 'Refresh', issuer, keys.refresh),
    access: await registerAll(app, 'Authentication', issuer, keys.access)
  }))
  app.decorate('jwks', parsePrivateKeys(config.ACCESS_TOKEN_PRIVATE_KEYS ?? '').map(({ jwk }) => jwk))
}, { name: 'jwt' })

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
      // The session's record decides, by Redis's clock.
      ignoreExpiration: true,
      cache: false
    }
  })
  const jwt = (app.jwt as unknown as Record<string, JWT>)[namespace]!
  return {
    algorithm,
    header: encodeHeader(algorithm, kid),
    sign: createSigner(jwt, kid, algorithm, secret),
    verify: token => jwt.verify<object>(token)
  }
}

function createSigner (jwt: JWT, kid: string, algorithm: SigningKey['algorithm'], secret: SigningKey['secret']): KeyedJwt['sign'] {
  switch (algorithm) {
    case 'HS512': return createHs512Signer(kid, secret as Buffer)
    case 'ES256': return claims => withLowerS(jwt.sign(claims))
    default: return claims => jwt.sign(claims)
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    tokens: Tokens
    /** Public keys of `ACCESS_TOKEN_PRIVATE_KEYS`; empty if only secrets are configured. */
    jwks: PublicJwk[]
  }
}
