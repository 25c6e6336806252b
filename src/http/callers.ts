import { createHash, timingSafeEqual } from 'node:crypto'
import type { ApiKey } from '#src/settings/api-keys'

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
