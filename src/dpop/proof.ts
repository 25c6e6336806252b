import { createHash, createPublicKey, verify, type KeyObject } from 'node:crypto'

/** Algorithms of proofs, for `dpop_signing_alg_values_supported` and `algs`. `Ed25519` is the name of EdDSA in RFC 9864. */
export const proofAlgorithms = ['ES256', 'EdDSA', 'Ed25519'] as const

/** Seconds that the `iat` of a proof may lie in the past. */
export const MAX_AGE = 60

/** Seconds that the clock of a client may be ahead. */
export const CLOCK_TOLERANCE = 5

const MAX_PROOF_LENGTH = 4096
const MAX_JTI_LENGTH = 128

/** A request, and the value of its `DPoP` header. */
export interface PresentedProof {
  proof: string | undefined
  method: string
  /** The address that the client called, with or without its query. */
  url: string
}

/** An access token, and the thumbprint of its key. */
export interface BoundToken { token: string, jkt: string }

/** A verified proof. */
export interface Proof {
  /** The thumbprint of its key (RFC 7638). */
  jkt: string
  jti: string
}

/** A request does not prove its key. The message holds no part of the proof. */
export class InvalidProof extends Error {
  override name = 'InvalidProof'
}

/** Compact serialization (RFC 7515 section 7.1). The joined values of several headers have a comma, so they are none. */
const COMPACT = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/

/** 32 bytes, base64url. */
const COORDINATE = /^[\w-]{43}$/

/** Private and symmetric members of a JWK (RFC 7518 section 6). */
const PRIVATE = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

/**
 * Verifies a proof as RFC 9449 section 4.3 demands, for an access token if one is presented with it. `now` is in Unix seconds. Uses
 * node:crypto, which takes half the time of jose.
 * @throws InvalidProof
 */
export function verifyProof ({ proof = '', method, url }: PresentedProof, bound?: BoundToken, now = Date.now() / 1000): Proof {
  const [, header, payload, signature] = (proof.length <= MAX_PROOF_LENGTH && COMPACT.exec(proof)) || []
  if (header === undefined) throw new InvalidProof('it is missing, repeated, too long or no JWT')
  const { key, jkt } = readKey(decode(header))
  const { htm, htu, iat, jti, ath } = decode(payload!)
  if (htm !== method) throw new InvalidProof('it is for another method')
  if (typeof htu !== 'string' || !isSameTarget(htu, url)) throw new InvalidProof('it is for another address')
  if (typeof iat !== 'number' || !(iat >= now - MAX_AGE && iat <= now + CLOCK_TOLERANCE)) throw new InvalidProof('it is of another time')
  if (typeof jti !== 'string' || jti === '' || jti.length > MAX_JTI_LENGTH) throw new InvalidProof('its jti is missing or too long')
  if (bound !== undefined && jkt !== bound.jkt) throw new InvalidProof('it is by another key')
  if (bound !== undefined && ath !== createHash('sha256').update(bound.token).digest('base64url')) throw new InvalidProof('it is for another token')
  // Last, because it costs more than the others together.
  const digest = key.asymmetricKeyType === 'ec' ? 'sha256' : null
  if (!verify(digest, Buffer.from(`${header}.${payload}`), { key, dsaEncoding: 'ieee-p1363' }, Buffer.from(signature!, 'base64url'))) {
    throw new InvalidProof('its signature is wrong')
  }
  return { jkt, jti }
}

function decode (part: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(Buffer.from(part, 'base64url').toString()))
  } catch {
    throw new InvalidProof('a part of it is no JSON')
  }
}

function readKey ({ typ, alg, jwk, crit }: Record<string, unknown>): { key: KeyObject, jkt: string } {
  if (typ !== 'dpop+jwt' || crit !== undefined) throw new InvalidProof('its type is another')
  const { kty, crv, x, y, ...others } = Object(jwk)
  if (PRIVATE.some(name => name in others)) throw new InvalidProof('its key is private')
  const members = alg === 'ES256' && kty === 'EC' && crv === 'P-256'
    ? { crv, kty, x, y }
    : (alg === 'EdDSA' || alg === 'Ed25519') && kty === 'OKP' && crv === 'Ed25519' ? { crv, kty, x } : undefined
  if (members === undefined) throw new InvalidProof('its algorithm or key is of another kind')
  if (![x, y ?? x].every(value => typeof value === 'string' && COORDINATE.test(value))) throw new InvalidProof('its key is malformed')
  try {
    // In lexicographic order, as RFC 7638 section 3 demands.
    return { key: createPublicKey({ key: members, format: 'jwk' }), jkt: createHash('sha256').update(JSON.stringify(members)).digest('base64url') }
  } catch {
    throw new InvalidProof('its key is malformed')
  }
}

/** Compares without query and fragment, after the normalisation of RFC 3986 sections 6.2.2 and 6.2.3. */
function isSameTarget (htu: string, url: string): boolean {
  const target = normalize(htu)
  return target !== undefined && target === normalize(url)
}

function normalize (text: string): string | undefined {
  const { protocol, origin, pathname } = URL.canParse(text) ? new URL(text) : { protocol: '', origin: '', pathname: '' }
  if (protocol !== 'https:' && protocol !== 'http:') return undefined
  return origin + pathname.replace(/%[0-9a-f]{2}/gi, code => {
    const character = String.fromCharCode(parseInt(code.slice(1), 16))
    return /[\w.~-]/.test(character) ? character : code.toUpperCase()
  })
}
