import fastifyJwt, { type JWT } from '@fastify/jwt'
import Fastify, { type FastifyInstance } from 'fastify'
import type { SecretConfig } from '#src/config/environment'
import { signingKeys, type SigningKey } from '#src/config/signing-keys'
import { accessTypes, type AccessFormat } from '#src/tokens/claims'
import { createHs512, encodeHeader } from '#src/tokens/hmac'
import type { Key } from '#src/tokens/keys'
import { parsePrivateKeys, type PublicJwk } from '#src/tokens/private-keys'
import { withLowerS } from '#src/tokens/signature'
import { createTokens, type AccessKey, type KeyedJwt, type Tokens } from '#src/tokens/tokens'

/** Tokens, and the public keys that verify access tokens. */
export interface Signing {
  tokens: Tokens
  /** Public keys of `ACCESS_TOKEN_PRIVATE_KEYS`; empty if only secrets are configured. */
  jwks: PublicJwk[]
}

/**
 * Signs and verifies tokens. @fastify/jwt verifies access tokens, and signs them with private keys. It is registered once
 * for each key, so that its calls stay synchronous; algorithm and issuer are pinned here (RFC 8725 section 3.1).
 * node:crypto signs with secrets and verifies refresh tokens, in half the time.
 */
export async function createSigning (config: SecretConfig): Promise<Signing> {
  // An app of their own, so that the decorators of @fastify/jwt do not meet those of the app around the service.
  const app = Fastify()
  const keys = signingKeys(config)
  const access = []
  for (const key of keys.access) access.push(await register(app, config, key))
  const audience = config.ACCESS_TOKEN_AUDIENCE?.split(/ *, */)

  const tokens = createTokens({
    issuer: config.JWT_ISSUER,
    accessTtl: config.ACCESS_TOKEN_TTL,
    profileClaims: (config.ACCESS_TOKEN_CLAIMS?.split(/ *, */) ?? []) as Array<'email' | 'role'>,
    format: config.ACCESS_TOKEN_FORMAT as AccessFormat,
    audience: audience?.length === 1 ? audience[0] : audience,
    refresh: keys.refresh.map(toRefreshKey) as [KeyedJwt, ...KeyedJwt[]],
    signAccess: access[0]!.sign,
    access: access.flatMap(({ keys }) => keys)
  })
  return { tokens, jwks: parsePrivateKeys(config.ACCESS_TOKEN_PRIVATE_KEYS ?? '').map(({ jwk }) => jwk) }
}

function toRefreshKey ({ kid, secret }: Key): KeyedJwt {
  return { algorithm: 'HS512', header: encodeHeader('HS512', kid, 'JWT'), ...createHs512(kid, secret) }
}

/** Returns the function that signs access tokens with a key, in the configured format, and the keys that verify them in both formats. */
async function register (
  app: FastifyInstance, { JWT_ISSUER: issuer, ACCESS_TOKEN_FORMAT: format }: SecretConfig, { kid, algorithm, secret }: SigningKey
): Promise<{ sign: KeyedJwt['sign'], keys: AccessKey[] }> {
  const typ = accessTypes[format as AccessFormat]
  const namespace = `access-${kid}`
  await app.register(fastifyJwt, {
    namespace,
    secret,
    sign: { algorithm, kid, header: { alg: algorithm, typ } },
    verify: {
      algorithms: [algorithm],
      allowedIss: issuer,
      requiredClaims: ['iss', 'sub'],
      // The caller checks it, because it knows the time.
      ignoreExpiration: true,
      cache: false
    }
  })
  const jwt = (app.jwt as unknown as Record<string, JWT>)[namespace]!
  const verify = (token: string): unknown => jwt.verify<object>(token)
  return {
    sign: createSigner(jwt, kid, typ, algorithm, secret),
    keys: Object.entries(accessTypes).map(([format, typ]) =>
      ({ algorithm, format: format as AccessFormat, header: encodeHeader(algorithm, kid, typ), verify }))
  }
}

function createSigner (jwt: JWT, kid: string, typ: string, algorithm: SigningKey['algorithm'], secret: SigningKey['secret']): KeyedJwt['sign'] {
  switch (algorithm) {
    case 'HS512': return createHs512(kid, secret as Buffer, typ).sign
    case 'ES256': return claims => withLowerS(jwt.sign(claims))
    default: return claims => jwt.sign(claims)
  }
}
