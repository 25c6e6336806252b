// Every token has exactly one spelling, so that a second spelling can't bypass a list or cache of tokens. HMAC, Ed25519 and
// RSA have one signature, because OpenSSL refuses numbers out of range and lengths other than the key's. ECDSA has two, with
// s and with n − s: the service uses the lower s, which every verifier accepts.

/** The order n of P-256 (SEC 2, section 2.4.2). */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

const HALF_ORDER = Buffer.from((ORDER / 2n).toString(16), 'hex')

/** Offset of s in an ES256 signature, in bytes (RFC 7518 section 3.4). */
const S_OFFSET = 32

/**
 * Whether a signature has the one accepted spelling for its `alg`: the canonical base64url encoding of its bytes (RFC 4648
 * section 3.5), and for ES256 the lower s. Does not verify the signature.
 */
export function isCanonical (signature: string, algorithm: string): boolean {
  const bytes = Buffer.from(signature, 'base64url')
  return bytes.toString('base64url') === signature && (algorithm !== 'ES256' || hasLowerS(bytes))
}

/** Returns the same ES256 token with the lower s. */
export function withLowerS (token: string): string {
  const start = token.lastIndexOf('.') + 1
  const signature = Buffer.from(token.slice(start), 'base64url')
  if (hasLowerS(signature)) return token
  const s = BigInt(`0x${signature.toString('hex', S_OFFSET)}`)
  signature.write((ORDER - s).toString(16).padStart(64, '0'), S_OFFSET, 'hex')
  return token.slice(0, start) + signature.toString('base64url')
}

function hasLowerS (signature: Buffer): boolean {
  return signature.subarray(S_OFFSET).compare(HALF_ORDER) <= 0
}
