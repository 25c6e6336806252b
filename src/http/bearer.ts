/** The credentials of an `Authorization: Bearer …` header (RFC 6750 section 2.1), or `undefined` when it is not one. */
export function bearerToken (authorization: string | undefined): string | undefined {
  return /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
}
