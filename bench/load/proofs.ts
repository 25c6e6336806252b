import { generateKeyPairSync, sign } from 'node:crypto'

/** Proofs of one key (RFC 9449, ES256), made one by one: a service accepts each only once. */

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const { crv, kty, x, y } = publicKey.export({ format: 'jwk' })
const jwk = { crv, kty, x, y }

const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url')

const header = encode({ typ: 'dpop+jwt', alg: 'ES256', jwk })

let proofs = 0

/** Returns a function that makes a new proof for a POST to an address. */
export function createProve (htu: string): () => string {
  return () => {
    const signed = `${header}.${encode({ jti: `proof ${proofs++}`, iat: Math.floor(Date.now() / 1000), htm: 'POST', htu })}`
    return `${signed}.${sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
  }
}
