import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'

/** A public key as verifiers read it (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2). */
export type PublicJwk = { kid: string, use: 'sig' } & (
  { kty: 'OKP', crv: 'Ed25519', x: string, alg: 'EdDSA' } |
  { kty: 'EC', crv: 'P-256', x: string, y: string, alg: 'ES256' } |
  { kty: 'RSA', n: string, e: string, alg: 'RS256' }
)

/** One key pair that signs access tokens. */
export interface PrivateKey {
  /** The JWK thumbprint (RFC 7638), which follows from the public key alone. */
  kid: string
  /** The one algorithm of this key (RFC 8725 section 3.1). */
  algorithm: PublicJwk['alg']
  /** PEM, PKCS #8. */
  private: string
  /** PEM, SubjectPublicKeyInfo. */
  public: string
  /** The public part, safe to publish. */
  jwk: PublicJwk
}

/** A key can't sign access tokens. The message starts with "Key 2 …" and quotes no part of the key. */
export class UnfitKeyError extends Error {}

/** The minimum for RS256 (RFC 7518 section 3.3). */
export const MIN_RSA_BITS = 2048

/** Matches the start of a PEM block (RFC 7468 section 2). */
const PEM_BEGIN = /(?=-----BEGIN )/

/** Block that `openssl ecparam -genkey` writes before the key; the key repeats its contents. */
const EC_PARAMETERS = '-----BEGIN EC PARAMETERS-----'

export function isPem (text: string): boolean {
  return PEM_BEGIN.test(text)
}

/**
 * Makes key pairs from PEM blocks, in order. Ignores text before the first block (RFC 7468 section 5.2).
 * @throws UnfitKeyError for the first block that is not an unencrypted private key of one of the three kinds, or is a duplicate.
 */
export function parsePrivateKeys (pem: string): PrivateKey[] {
  const blocks = pem.split(PEM_BEGIN).filter(block => isPem(block) && !block.startsWith(EC_PARAMETERS))
  const keys: PrivateKey[] = []
  for (const block of blocks) {
    const key = toPrivateKey(readKey(block, keys.length + 1), keys.length + 1)
    const twin = keys.findIndex(({ kid }) => kid === key.kid)
    if (twin !== -1) throw new UnfitKeyError(`Key ${keys.length + 1} is key ${twin + 1} again`)
    keys.push(key)
  }
  return keys
}

function readKey (block: string, number: number): KeyObject {
  try {
    return createPrivateKey(block)
  } catch {
    throw new UnfitKeyError(`Key ${number} ${block.includes('ENCRYPTED') ? 'is encrypted' : 'can\'t be read as a private key'}`)
  }
}

function toPrivateKey (key: KeyObject, number: number): PrivateKey {
  const algorithm = algorithmOf(key, number)
  const publicKey = createPublicKey(key)
  const jwk = publicKey.export({ format: 'jwk' })
  const kid = thumbprint(jwk)
  return {
    kid,
    algorithm,
    // Converted through a JWK: PEM may spell out the curve's parameters, which fast-jwt can't read.
    private: createPrivateKey({ key: key.export({ format: 'jwk' }), format: 'jwk' }).export({ format: 'pem', type: 'pkcs8' }) as string,
    public: publicKey.export({ format: 'pem', type: 'spki' }) as string,
    jwk: { ...jwk, kid, alg: algorithm, use: 'sig' } as PublicJwk
  }
}

function algorithmOf ({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject, number: number): PublicJwk['alg'] {
  if (type === 'ed25519') return 'EdDSA'
  if (type === 'ec' && details?.namedCurve === 'prime256v1') return 'ES256'
  if (type !== 'rsa') throw new UnfitKeyError(`Key ${number} is neither Ed25519, P-256 nor RSA`)
  if (details!.modulusLength! >= MIN_RSA_BITS) return 'RS256'
  throw new UnfitKeyError(`Key ${number} is an RSA key of ${details!.modulusLength} bits`)
}

/**
 * SHA-256 of the required members of the key, in lexicographic order (RFC 7638 section 3). Node exports exactly these
 * members for a public key.
 */
function thumbprint (jwk: object): string {
  const members = Object.fromEntries(Object.entries(jwk).sort())
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url')
}
