import fastifyJwt, { type JWT } from '@fastify/jwt'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { signingKeys, type SigningKey } from '#src/config/signing-keys'
import { createHs512, encodeHeader } from '#src/tokens/hmac'
import { parsePrivateKeys, type PublicJwk } from '#src/tokens/private-keys'
import { withLowerS } from '#src/tokens/signature'
import { createTokens, type KeyedJwt, type Tokens } from '#src/tokens/tokens'

/**
 * `app.tokens`: signs and verifies tokens. Access tokens go through @fastify/jwt, registered once for each key so that signing and
 * verifying stay synchronous; algorithm, issuer and subject are pinned here (RFC 8725 section 3.1). Every refresh verifies and
 * signs a refresh token and signs an access token: with a secret, node:crypto does it in half the time.
 * `app.jwks`: the public keys of access tokens.
 */
export default fp(async app => {
  const { config } = app
  const keys = signingKeys(config)
  const access = []
  for (const key of keys.access) access.push(await register(app, config.JWT_ISSUER, key))

  app.decorate('tokens', createTokens({
    issuer: config.JWT_ISSUER,
    accessTtl: config.ACCESS_TOKEN_TTL,
    profileClaims: (config.ACCESS_TOKEN_CLAIMS?.split(/ *, */) ?? []) as Array<'email' | 'role'>,
    refresh: keys.refresh.map(({ kid, secret }) => keyed('HS512', kid, createHs512(kid, secret))) as Keys,
    access: access as Keys
  }))
  app.decorate('jwks', parsePrivateKeys(config.ACCESS_TOKEN_PRIVATE_KEYS ?? '').map(({ jwk }) => jwk))
}, { name: 'jwt' })

type Keys = [KeyedJwt, ...KeyedJwt[]]

function keyed (algorithm: SigningKey['algorithm'], kid: string, functions: Pick<KeyedJwt, 'sign' | 'verify'>): KeyedJwt {
  return { algorithm, header: encodeHeader(algorithm, kid), ...functions }
}

async function register (app: FastifyInstance, issuer: string, { kid, algorithm, secret }: SigningKey): Promise<KeyedJwt> {
  const namespace = `access-${kid}`
  await app.register(fastifyJwt, {
    namespace,
    secret,
    sign: { algorithm, kid },
    verify: {
      algorithms: [algorithm],
      allowedIss: issuer,
      allowedSub: 'Authentication',
      requiredClaims: ['iss', 'sub'],
      // The caller checks it, because it knows the time.
      ignoreExpiration: true,
      cache: false
    }
  })
  const jwt = (app.jwt as unknown as Record<string, JWT>)[namespace]!
  return keyed(algorithm, kid, { sign: createSigner(jwt, kid, algorithm, secret), verify: token => jwt.verify<object>(token) })
}

function createSigner (jwt: JWT, kid: string, algorithm: SigningKey['algorithm'], secret: SigningKey['secret']): KeyedJwt['sign'] {
  switch (algorithm) {
    case 'HS512': return createHs512(kid, secret as Buffer).sign
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
