import { createHash, randomUUID } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT, type JWK } from 'jose'

/** A client with a key. Its proofs are made by jose, and can be wrong in any part. */
export interface Holder {
  jwk: JWK
  privateJwk: JWK
  jkt: string
  /** Signs a proof; a claim or a member of the header that is `undefined` is left out. */
  prove (claims: Record<string, unknown>, header?: Record<string, unknown>): Promise<string>
}

export async function holder (alg: 'ES256' | 'ES384' | 'EdDSA' | 'Ed25519' = 'ES256'): Promise<Holder> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = await exportJWK(publicKey)
  return {
    jwk,
    privateJwk: await exportJWK(privateKey),
    jkt: await calculateJwkThumbprint(jwk),
    async prove (claims, header = {}) {
      const all = { jti: randomUUID(), iat: Math.floor(Date.now() / 1000), ...claims }
      // jose signs critical members only if it is told that they are understood.
      const crit = Object.fromEntries((header['crit'] as string[] ?? []).map(name => [name, true]))
      return await new SignJWT(all).setProtectedHeader({ alg, typ: 'dpop+jwt', jwk, ...header } as never).sign(privateKey, { crit })
    }
  }
}

/** `ath` of an access token. */
export const hashOf = (token: string): string => createHash('sha256').update(token).digest('base64url')

/** Changes a part of a compact JWT: 0 is the header, 1 the payload. Its signature stays. */
export function tampered (jwt: string, part: 0 | 1, change: (value: Record<string, unknown>) => unknown): string {
  const parts = jwt.split('.')
  parts[part] = Buffer.from(JSON.stringify(change(JSON.parse(Buffer.from(parts[part]!, 'base64url').toString())))).toString('base64url')
  return parts.join('.')
}
