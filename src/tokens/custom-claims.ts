/** Claims that the login service adds to a user or a session, beside those that the service sets itself. */
export type Claims = Readonly<Record<string, unknown>>

/** Names that only the service may set: registered claims (RFC 7519, RFC 7800, RFC 8693, RFC 9068) and its own. */
export const reservedClaims = [
  'iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'id', 'sid', 'gen', 'typ', 'cnf', 'client_id', 'azp', 'act', 'may_act'
]

/** Bytes of JSON: access tokens travel in a header of every request. */
export const MAX_CLAIMS_BYTES = 1024

/** Levels of nested objects and lists; the claims themselves are the first. */
export const MAX_CLAIMS_DEPTH = 5

/** Returns why the claims are invalid, as a phrase to follow the field's name; `undefined` for valid claims. */
export function claimsMistake (claims: object): string | undefined {
  const reserved = reservedClaims.filter(name => Object.hasOwn(claims, name))
  if (reserved.length > 0) return `must not contain the reserved ${reserved.length === 1 ? 'name' : 'names'} ${reserved.join(', ')}`
  if (isDeeper(claims, MAX_CLAIMS_DEPTH)) return `must be at most ${MAX_CLAIMS_DEPTH} levels deep`
  if (Buffer.byteLength(JSON.stringify(claims)) > MAX_CLAIMS_BYTES) return `must be at most ${MAX_CLAIMS_BYTES} bytes of JSON`
  return undefined
}

/**
 * Reads the claims of a session from the JSON in its record; a session's claim replaces the user's claim of the same name. Frozen at
 * every level, because a cache may return them to several callers.
 * @throws SyntaxError when a text is damaged.
 */
export function readClaims (user: string | null | undefined, session: string | null | undefined): Claims {
  return freeze({ ...JSON.parse(user || '{}'), ...JSON.parse(session || '{}') })
}

function isDeeper (value: unknown, levels: number): boolean {
  return typeof value === 'object' && value !== null && (levels === 0 || Object.values(value).some(child => isDeeper(child, levels - 1)))
}

function freeze<T extends object> (value: T): T {
  for (const child of Object.values(value)) if (typeof child === 'object' && child !== null) freeze(child)
  return Object.freeze(value)
}
