import { isUtf8 } from 'node:buffer'
import { fastifyCookie, type SerializeOptions } from '@fastify/cookie'
import type { Config } from '#src/config/environment'
import { RefreshRefused } from '#src/errors'
import type { LiveSession } from '#src/sessions/replies'

/**
 * The cookie with the refresh token and the device of a session. Browsers accept a name with this prefix only with `Secure` and
 * `Path=/`, and without `Domain` (RFC 6265bis, "The `__Host-` Prefix"): no other host, and no page over http, can set it.
 */
export const COOKIE = '__Host-refresh'

/** Maximum size of name and value, bytes: the limit of browsers (RFC 6265bis, "Limits"). */
const MAX_SIZE = 4096

/** `<base64url(deviceId), empty for none>.<refresh token>` */
const VALUE = /^([\w-]*)\.([\w-]+\.[\w-]+\.[\w-]+)$/

type CookieConfig = Pick<Config, 'COOKIE_SAME_SITE'>

/** Returns the `Set-Cookie` value for a session; the browser keeps the cookie until the session expires. */
export function toSetCookie (
  { COOKIE_SAME_SITE: sameSite }: CookieConfig, { generation: { exp }, now }: LiveSession, refreshToken: string, deviceId?: string
): string {
  return write(`${Buffer.from(deviceId ?? '').toString('base64url')}.${refreshToken}`, sameSite, exp - now)
}

/** Returns the `Set-Cookie` value that makes the browser forget the cookie. */
export function toClearingCookie ({ COOKIE_SAME_SITE: sameSite }: CookieConfig): string {
  return write('', sameSite, 0)
}

function write (value: string, sameSite: string, maxAge: number): string {
  return fastifyCookie.serialize(COOKIE, value, {
    path: '/', httpOnly: true, secure: true, sameSite: sameSite as NonNullable<SerializeOptions['sameSite']>, maxAge
  })
}

/**
 * Reads a `Cookie` header. It is strict, so that one session has one spelling: browsers send the value as it was set, and only once.
 * @throws RefreshRefused when the cookie is missing, repeated, oversized or no value of ours.
 */
export function readCookie (header = ''): { refreshToken: string, deviceId: string | undefined } {
  const [pair, ...more] = header.split(';').map(text => text.trim()).filter(text => text.startsWith(`${COOKIE}=`))
  if (pair === undefined || more.length > 0 || pair.length > MAX_SIZE) throw new RefreshRefused('malformed')
  const [, device, refreshToken] = VALUE.exec(pair.slice(COOKIE.length + 1)) ?? []
  if (device === undefined || refreshToken === undefined) throw new RefreshRefused('malformed')
  const bytes = Buffer.from(device, 'base64url')
  if (!isUtf8(bytes) || bytes.toString('base64url') !== device) throw new RefreshRefused('malformed')
  return { refreshToken, deviceId: bytes.length === 0 ? undefined : bytes.toString() }
}
