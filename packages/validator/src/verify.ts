import { createSecretKey, type KeyObject } from 'node:crypto'
import { createLocalJWKSet, createRemoteJWKSet, errors, jwtVerify, type CryptoKey, type CompactJWSHeaderParameters, type JWTVerifyGetKey } from 'jose'
import { SILENCE_TIMEOUT } from '../../../src/redis/client.ts'
import { accessTypes, isAccessClaims, type AccessClaims, type AccessFormat } from '../../../src/tokens/claims.ts'
import { parseKeys } from '../../../src/tokens/keys.ts'
import { isCanonical } from '../../../src/tokens/signature.ts'
import { SessionValidationError } from './errors.ts'

/** Returns the claims of an authentic, unexpired access token. Rejects with `malformed`, `expired` or `unavailable`. */
export type VerifyToken = (token: string) => Promise<AccessClaims>

/** Returns the key that the header names. Rejects with `malformed` when there is none. */
type FindKey = (header: CompactJWSHeaderParameters) => Promise<CryptoKey | KeyObject>

/** Characters; the service's longest tokens need about half. A longer token is rejected before it is verified. */
const MAX_TOKEN_LENGTH = 8192

/** Milliseconds between fetches for an unknown `kid` or after a failure. Limits forgers' fetches and a new key's delay. */
const JWKS_COOLDOWN = 1000

/** Milliseconds after which the key set is fetched again. */
const JWKS_FRESH = 600_000

/** Milliseconds for which the last good key set is used while its address can't be reached. */
const JWKS_MAX_AGE = 3_600_000

/** Compact serialization (RFC 7515 section 7.1). */
const COMPACT = /^[\w-]+\.[\w-]+\.[\w-]+$/

/**
 * Verifies access tokens with shared secrets (a comma-separated list), or with the public keys at an address. Pins the
 * algorithms to the kind of key, so that a public key is never used as a secret (RFC 8725 section 3.1). Pins issuer and
 * subject, so that no other token of the service passes as an access token. Accepts both formats, each by its own header; `audience`
 * names this service, and a token for other services is rejected. A documented token may be for every service, without `aud`.
 */
export function createVerify (keys: string | URL, issuer: string, audience?: readonly string[]): VerifyToken {
  const [algorithms, findKey] = typeof keys === 'string'
    ? [['HS512'], findSecret(keys)] as const
    : [['EdDSA', 'ES256', 'RS256'], findPublicKey(keys)] as const
  const options = { algorithms: [...algorithms], issuer, requiredClaims: ['exp'] }
  const getKey: JWTVerifyGetKey = async (header, { signature }) => {
    if (!isCanonical(signature, header.alg)) throw malformed('its signature is not in the canonical form')
    return await findKey(header)
  }

  return async token => {
    if (!isCompact(token)) throw malformed('it is not a JWT, or too long')
    const { payload, protectedHeader: { typ } } = await jwtVerify(token, getKey, options).catch(err => { throw toValidationError(err) })
    const format = formats.find(format => accessTypes[format] === typ)
    if (format === undefined || !isAccessClaims(payload, format)) throw malformed('its claims are not those of an access token')
    if (audience !== undefined && !isFor(audience, payload, format)) throw malformed('it is for another service')
    return payload
  }
}

const formats = Object.keys(accessTypes) as AccessFormat[]

function isFor (audience: readonly string[], { aud }: AccessClaims, format: AccessFormat): boolean {
  return aud === undefined ? format === 'documented' : [aud].flat().some(name => audience.includes(name))
}

function isCompact (token: unknown): boolean {
  return typeof token === 'string' && token.length <= MAX_TOKEN_LENGTH && COMPACT.test(token)
}

function findSecret (list: string): FindKey {
  const byKid = new Map<unknown, KeyObject>(parseKeys(list).map(({ kid, secret }) => [kid, createSecretKey(secret)]))
  return async ({ kid }) => byKid.get(kid) ?? unknownKey()
}

/**
 * Fetches the key set every ten minutes, and for a `kid` that it lacks. When a fetch fails, the last good set serves the
 * `kid`s that it has; any other `kid` is `unavailable`. All waits use the monotonic clock, so that setting the wall clock
 * prolongs none. jose would use the wall clock, so it only stores the set and never decides to fetch.
 */
function findPublicKey (url: URL): FindKey {
  const keySet = createRemoteJWKSet(url, { timeoutDuration: SILENCE_TIMEOUT, cooldownDuration: Infinity, cacheMaxAge: Infinity })
  let [fetchedAt, goodAt] = [-Infinity, -Infinity]
  let failure = { at: -Infinity, message: '' }

  async function fetchIfOlder (age: number): Promise<void> {
    if (performance.now() - fetchedAt < age) return
    await keySet.reload()
    fetchedAt = performance.now()
  }

  async function fromCurrentSet (header: CompactJWSHeaderParameters): Promise<CryptoKey> {
    await fetchIfOlder(JWKS_FRESH)
    try {
      return await keySet(header)
    } catch (err) {
      if (!(err instanceof errors.JWKSNoMatchingKey)) throw err
      await fetchIfOlder(JWKS_COOLDOWN)
      return await keySet(header)
    }
  }

  async function fromLastGoodSet (header: CompactJWSHeaderParameters): Promise<CryptoKey> {
    const last = keySet.jwks()
    const known = last !== undefined && performance.now() - goodAt < JWKS_MAX_AGE && last.keys.some(({ kid }) => kid === header.kid)
    if (!known) throw new SessionValidationError('unavailable', `the keys could not be fetched: ${failure.message}`)
    return await createLocalJWKSet(last)(header)
  }

  return async header => {
    if (typeof header.kid !== 'string') return unknownKey() // without a kid, jose would take any suitable key
    if (performance.now() - failure.at < JWKS_COOLDOWN) return await fromLastGoodSet(header)
    try {
      const key = await fromCurrentSet(header)
      goodAt = performance.now()
      return key
    } catch (err) {
      if (err instanceof errors.JWKSNoMatchingKey) return unknownKey()
      failure = { at: performance.now(), message: (err as Error).message }
      return await fromLastGoodSet(header)
    }
  }
}

function unknownKey (): never {
  throw malformed('its key is unknown')
}

/** Converts an error of `jwtVerify`. A jose error is not passed on as the cause, because it carries the claims. */
function toValidationError (err: Error): SessionValidationError {
  if (err instanceof SessionValidationError) return err
  if (err instanceof errors.JWTExpired) return new SessionValidationError('expired', 'the access token has expired')
  if (err instanceof errors.JOSEError) return malformed(err.message)
  return new SessionValidationError('unavailable', `the key can't be used: ${err.message}`, { cause: err })
}

function malformed (reason: string): SessionValidationError {
  return new SessionValidationError('malformed', `the access token is refused: ${reason}`)
}
