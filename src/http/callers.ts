import { createHash, timingSafeEqual } from 'node:crypto'
import type { ApiKey } from '#src/settings/api-keys'
import { basicCredentials } from './basic.ts'
import { bearerToken } from './bearer.ts'

/** The name and the scopes of a key. */
export type Caller = Pick<ApiKey, 'name' | 'scopes'>

const hash = (text: string): Buffer => createHash('sha256').update(text).digest()

/**
 * Returns a function that finds the caller of a key. Its time depends neither on which key is presented nor on how much of it is
 * right: it compares hashes, which have equal lengths, and compares with every key.
 */
export function createCallers (keys: ApiKey[]): (key: string) => Caller | undefined {
  const known = keys.map(({ key, ...caller }) => ({ caller, expected: hash(key) }))
  return key => {
    const presented = hash(key)
    let found: Caller | undefined
    for (const { caller, expected } of known) {
      if (timingSafeEqual(presented, expected)) found = caller
    }
    return found
  }
}

export const BASIC_CHALLENGE = 'Basic realm="refresh-token-service"'

/** The challenge in the scheme of an `Authorization` header (RFC 6749 section 5.2). */
export function challengeTo (authorization: string | undefined): string {
  return /^Basic\b/i.test(authorization ?? '') ? BASIC_CHALLENGE : 'Bearer'
}

/** Finds the caller of an `Authorization` header: `Bearer <key>`, or `Basic` with the caller's name and key. */
export function callerOf (findCaller: (key: string) => Caller | undefined, authorization: string | undefined): Caller | undefined {
  const basic = basicCredentials(authorization)
  const caller = findCaller(basic?.key ?? bearerToken(authorization) ?? '')
  return basic === undefined || basic.name === caller?.name ? caller : undefined
}
