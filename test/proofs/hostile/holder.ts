import { createHash, generateKeyPairSync, randomUUID, sign, type KeyObject } from 'node:crypto'

/** A client with a key, whose proofs (RFC 9449) are made without a promise and can be wrong in any part. */

type Members = Record<string, unknown>

/** `text` replaces the JSON of a part. */
export interface Parts { header?: Members, claims?: Members, text?: { header?: string, claims?: string } }

export interface Holder {
  jwk: Members
  privateKey: KeyObject
  jkt: string
  /** Signs a proof; a member that is `undefined` is left out. */
  prove (parts: Parts): string
}

const encode = (text: string): string => Buffer.from(text).toString('base64url')

function createHolder (): Holder {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { crv, kty, x, y } = publicKey.export({ format: 'jwk' })
  const jwk = { crv, kty, x, y }
  return {
    jwk,
    privateKey,
    jkt: createHash('sha256').update(JSON.stringify(jwk)).digest('base64url'),
    prove ({ header, claims, text }) {
      const signed = [
        text?.header ?? JSON.stringify({ typ: 'dpop+jwt', alg: 'ES256', jwk, ...header }),
        text?.claims ?? JSON.stringify({ jti: randomUUID(), iat: Math.floor(Date.now() / 1000), htm: 'POST', ...claims })
      ].map(encode).join('.')
      return `${signed}.${sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
    }
  }
}

/** The key of all bound sessions. */
export const owner = createHolder()

/** Holds the key of no session. */
export const stranger = createHolder()

/** `ath` of an access token. */
export const hashOf = (token: string): string => createHash('sha256').update(token).digest('base64url')
