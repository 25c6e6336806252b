/** The scheme and the token of an `Authorization: Bearer …` or `DPoP …` header (RFC 9449 section 7.1); `undefined` for every other. */
export function accessToken (authorization: string | undefined): { scheme: 'Bearer' | 'DPoP', token: string } | undefined {
  const [, scheme, token] = /^(Bearer|DPoP) +(\S+)$/i.exec(authorization ?? '') ?? []
  return token === undefined ? undefined : { scheme: scheme!.toLowerCase() === 'dpop' ? 'DPoP' : 'Bearer', token }
}

/** The credentials of an `Authorization: Bearer …` header (RFC 6750 section 2.1), or `undefined` when it is not one. */
export function bearerToken (authorization: string | undefined): string | undefined {
  return /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
}
