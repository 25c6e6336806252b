import { createHmac, createSecretKey, type KeyObject } from 'node:crypto'

/**
 * A JWS in compact serialization (RFC 7515 section 3.1), signed with HMAC (RFC 7518 section 3.2) of the hash that
 * `alg` in the header tells: the caller has them agree.
 *
 * @param header encoded, with the dot that follows it
 * @param payload as it is to be read
 */
export function signCompact (hash: 'sha256' | 'sha512', key: KeyObject, header: string, payload: string): string {
  const input = header + encode(payload)
  return `${input}.${createHmac(hash, key).update(input).digest('base64url')}`
}

/**
 * Signs claims with one secret, byte for byte as @fastify/jwt does, which takes twice as long: it encodes the header and
 * copies the claims anew each time. Tests hold the two and jose together.
 */
export function createHs512Signer (kid: string, secret: Buffer): (claims: object) => string {
  const key = createSecretKey(secret)
  const header = `${encodeHeader('HS512', kid)}.`
  return claims => signCompact('sha512', key, header, JSON.stringify(claims))
}

/** The one header that tokens signed with a key have, by us and by @fastify/jwt. */
export function encodeHeader (alg: string, kid: string): string {
  return encode(JSON.stringify({ alg, typ: 'JWT', kid }))
}

function encode (text: string): string {
  return Buffer.from(text).toString('base64url')
}
