/** The name and the key of a caller. */
export interface BasicCredentials {
  name: string
  key: string
}

/**
 * The credentials of an `Authorization: Basic …` header (RFC 7617), each form-urlencoded (RFC 6749 section 2.3.1); `undefined` for any
 * other. Names and keys have no spaces, so a `+` stays a `+`: clients that do not encode their credentials get through too.
 */
export function basicCredentials (authorization: string | undefined): BasicCredentials | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization ?? '')?.[1]
  if (encoded === undefined) return undefined
  const [, name, key] = /^([^:]+):(.+)$/.exec(Buffer.from(encoded, 'base64').toString()) ?? []
  if (name === undefined) return undefined
  try {
    return { name: decodeURIComponent(name), key: decodeURIComponent(key!) }
  } catch {
    return undefined
  }
}
