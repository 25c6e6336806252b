/** Hosts allowed with http: browser and service share one machine. */
const LOCAL = ['localhost', '127.0.0.1', '[::1]']

/** Whether a text is an issuer identifier (RFC 8414 section 2) without a path: an https origin, or an http origin of this machine. */
export function isOauthIssuer (text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined
  return url !== undefined && url.origin === text && (url.protocol === 'https:' || (url.protocol === 'http:' && LOCAL.includes(url.hostname)))
}
