import { createHmac } from 'node:crypto'

/** One HMAC secret, with the `kid` that tokens carry in their header. */
export interface Key {
  kid: string
  secret: Buffer
}

/** HS512 requires a key at least as long as its output (RFC 7518 section 3.2). */
export const MIN_SECRET_BYTES = 64

/** Minimum of different characters, by length of the text. Random text, even hexadecimal, fails less than once in 100,000. */
const MIN_DIFFERENT = { long: 11, short: 9 }

/** Whether a secret of at least 32 characters looks non-random: it has few different characters, or a placeholder word. */
export function looksWeak (secret: string): boolean {
  const least = secret.length < MIN_SECRET_BYTES ? MIN_DIFFERENT.short : MIN_DIFFERENT.long
  return new Set(secret).size < least || /change.?me|example|password|secret/i.test(secret)
}

/** Splits a comma-separated list of secrets and trims surrounding blanks. */
export function splitSecrets (list: string): string[] {
  return list.split(',').map(secret => secret.trim())
}

/**
 * Makes keys from a comma-separated list of secrets: the first signs, all verify.
 * The `kid` is a keyed hash, so it identifies a secret without revealing anything about it, and needs no configuration.
 */
export function parseKeys (list: string): [Key, ...Key[]] {
  return splitSecrets(list).map(text => {
    const secret = Buffer.from(text)
    const kid = createHmac('sha256', secret).update('refresh-token-service kid').digest('base64url').slice(0, 8)
    return { kid, secret }
  }) as [Key, ...Key[]]
}
