import type { FastifyRequest } from 'fastify'
import type { Config } from '#src/config/environment'
import { splitOrigins } from '#src/settings/origins'

/**
 * Creates the check against cross-site request forgery: whether a request comes from a page of this site, or from no page at all.
 * Scripts can't set `Sec-Fetch-Site` (Fetch Metadata Request Headers). Browsers without it send `Origin` with every POST. A request with
 * neither header comes from a program, such as a server that renders pages. A program sends a cookie only if it was given one.
 */
export function createSiteCheck (
  { OAUTH_ISSUER: issuer, CORS_ORIGINS: list }: Pick<Config, 'OAUTH_ISSUER' | 'CORS_ORIGINS'>
): (request: FastifyRequest) => boolean {
  const origins = new Set(list === undefined ? [] : splitOrigins(list))
  return request => {
    const { 'sec-fetch-site': site, origin } = request.headers
    switch (site) {
      case 'same-origin':
      case 'none':
        return true
      case 'same-site':
        return origins.has(String(origin))
      case undefined:
        return origin === undefined || origins.has(origin) || origin === issuer || origin === `${request.protocol}://${request.host}`
      default:
        return false
    }
  }
}
