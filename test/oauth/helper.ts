import type { LightMyRequestResponse } from 'fastify'
import type { Test } from 'tap'
import { build, secret, type PrivateRedis, type Service } from '../support/helper.ts'

export const ISSUER = 'https://id.example.com'

export const TOKEN = '/oauth/token'
export const REVOKE = '/oauth/revoke'

/** Keys of a confidential client: the present one, and the next one. */
export const [shopKey, nextShopKey] = [`${secret()}+/=`, secret()]

/** The key of a caller that is no OAuth client. */
export const readerKey = secret()

export const CLIENTS = `shop:oauth:${shopKey},shop:oauth+introspect:${nextShopKey},reader:read:${readerKey}`

/** Builds a service with OAuth and a confidential client `shop`. */
export async function buildOauth (t: Test, redis: PrivateRedis, settings: Record<string, string> = {}): Promise<Service> {
  return await build(t, redis, { OAUTH_ISSUER: ISSUER, INTERNAL_API_KEYS: CLIENTS, ...settings })
}

/** `Authorization: Basic` with credentials as RFC 6749 section 2.3.1 encodes them. */
export function basic (name: string, key: string): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${encodeURIComponent(name)}:${encodeURIComponent(key)}`).toString('base64')}` }
}

/** Sends a form. */
export async function send (
  { public: app }: Pick<Service, 'public'>, url: string, form: Record<string, string> | string, headers: Record<string, string> = {}
): Promise<LightMyRequestResponse> {
  const payload = typeof form === 'string' ? form : new URLSearchParams(form).toString()
  return await app.inject({ method: 'POST', url, payload, headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers } })
}

export const refreshForm = (refreshToken: string, more: Record<string, string> = {}): Record<string, string> =>
  ({ grant_type: 'refresh_token', refresh_token: refreshToken, ...more })

/** The status and the error code of an answer. */
export const errorOf = ({ statusCode, body }: LightMyRequestResponse): [status: number, error: string | undefined] =>
  [statusCode, JSON.parse(body).error]
