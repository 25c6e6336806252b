/** The order of P-256 (SEC 2, section 2.4.2). */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/** Whether the signature of an ES256 token is low-S: the lower of the two values of s that ECDSA accepts. */
export function hasLowerS (token: string): boolean {
  return sOf(token) <= ORDER / 2n
}

/** The same ES256 token with ECDSA's other valid signature: n − s instead of s. */
export function twinOf (token: string): string {
  const at = token.lastIndexOf('.') + 1
  const signature = Buffer.from(token.slice(at), 'base64url')
  signature.write((ORDER - sOf(token)).toString(16).padStart(64, '0'), 32, 'hex')
  return token.slice(0, at) + signature.toString('base64url')
}

/** Another signer's ES256 token, with the lower s as in our tokens. */
export function withLowerS (token: string): string {
  return hasLowerS(token) ? token : twinOf(token)
}

function sOf (token: string): bigint {
  return BigInt(`0x${Buffer.from(token.split('.')[2]!, 'base64url').toString('hex', 32)}`)
}
