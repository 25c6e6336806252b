import fastifyJwt, { type JWT } from '@fastify/jwt'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { parseKeys, type Key } from '../src/tokens/keys.ts'
import { createTokens, type KeyedJwt, type Tokens } from '../src/tokens/tokens.ts'

/**
 * `app.tokens`: signs and verifies through @fastify/jwt, which is registered once a key so that signing and verifying
 * stay synchronous. Algorithm, issuer and subject are pinned here (RFC 8725 section 3.1): an access token is never
 * taken for a refresh token, whatever its key.
 */
export default fp(async app => {
  const { config } = app
  const refresh = parseKeys(config.REFRESH_TOKEN_SECRETS)
  const access = parseKeys(config.ACCESS_TOKEN_SECRETS)
  const issuer = config.JWT_ISSUER

  app.decorate('tokens', createTokens({
    issuer,
    accessTtl: config.ACCESS_TOKEN_TTL,
    refresh: await registerAll(app, 'Refresh', issuer, refresh),
    access: await registerAll(app, 'Authentication', issuer, access)
  }))
}, { name: 'jwt' })

type Keyed = [KeyedJwt, ...KeyedJwt[]]

async function registerAll (app: FastifyInstance, sub: string, issuer: string, keys: Key[]): Promise<Keyed> {
  const registered = []
  for (const key of keys) registered.push(await register(app, sub, issuer, key))
  return registered as Keyed
}

async function register (app: FastifyInstance, sub: string, issuer: string, { kid, secret }: Key): Promise<KeyedJwt> {
  const namespace = `${sub}-${kid}`
  await app.register(fastifyJwt, {
    namespace,
    secret,
    sign: { algorithm: 'HS512', kid },
    verify: {
      algorithms: ['HS512'],
      allowedIss: issuer,
      allowedSub: sub,
      requiredClaims: ['iss', 'sub'],
      // The session's record judges by Redis's clock.
      ignoreExpiration: true,
      cache: false
    }
  })
  const jwt = (app.jwt as unknown as Record<string, JWT>)[namespace]!
  return { kid, sign: claims => jwt.sign(claims), verify: token => jwt.verify<object>(token) }
}

declare module 'fastify' {
  interface FastifyInstance {
    tokens: Tokens
  }
}
