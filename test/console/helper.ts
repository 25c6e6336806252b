import { randomBytes } from 'node:crypto'
import type { LightMyRequestResponse } from 'fastify'
import { LIFETIME } from '#src/console/login'
import { apiKey, build, type PrivateRedis, type Service } from '../support/helper.ts'
import type { Test } from 'tap'

export { LIFETIME }

export const consoleKey = randomBytes(32).toString('base64url')
export const otherKey = randomBytes(32).toString('base64url')

/** A service whose key `ada` opens the console; the key `login` does not. */
export async function withConsole (t: Test, redis: PrivateRedis, overrides: Record<string, string> = {}): Promise<Service> {
  return await build(t, redis, {
    INTERNAL_API_KEYS: `ada:console:${consoleKey},login:open+read+revoke:${otherKey}`,
    INTERNAL_API_KEY: apiKey,
    ...overrides
  })
}

export interface Visitor {
  get (path: string): Promise<LightMyRequestResponse>
  post (path: string, form: Record<string, string>, headers?: Record<string, string>): Promise<LightMyRequestResponse>
}

/** A browser without scripts: keeps the cookie, and says with `Sec-Fetch-Site` where a form comes from. */
export function visit ({ internal: app }: Pick<Service, 'internal'>): Visitor {
  let cookie = ''
  const send = async (method: 'GET' | 'POST', path: string, headers: object, payload = ''): Promise<LightMyRequestResponse> => {
    const answer = await app.inject({ method, url: `/console${path}`, headers: { cookie, ...headers }, ...method === 'POST' && { payload } })
    for (const { name, value } of answer.cookies) cookie = `${name}=${value}`
    return answer
  }
  return {
    get: async path => await send('GET', path, {}),
    post: async (path, form, headers = { 'sec-fetch-site': 'same-origin' }) =>
      await send('POST', path, { 'content-type': 'application/x-www-form-urlencoded', ...headers }, new URLSearchParams(form).toString())
  }
}

export async function logIn (service: Service): Promise<Visitor> {
  const visitor = visit(service)
  await visitor.post('/login', { key: consoleKey })
  return visitor
}
