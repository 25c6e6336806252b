import { randomBytes } from 'node:crypto'
import Fastify, { type FastifyInstance, type FastifyServerOptions, type LightMyRequestResponse } from 'fastify'
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import refreshTokens, { type RefreshTokensOptions, type Sessions } from '#src/plugin/index'
import { guest, secret, type PrivateRedis } from '../support/helper.ts'

/** A client of the app itself, with ioredis's defaults; it ends with the test. */
export function clientOf (t: Test, { url }: Pick<PrivateRedis, 'url'>): Redis {
  const socket = /^redis\+socket:\/\/(.*)$/.exec(url)?.[1]
  const client = socket === undefined ? new Redis(url) : new Redis(socket)
  t.teardown(() => { client.disconnect() })
  return client
}

/** Options with keys and a prefix of their own. */
export function optionsWith (redis: RefreshTokensOptions['redis'], overrides: Partial<RefreshTokensOptions> = {}): RefreshTokensOptions {
  return {
    redis,
    redisPrefix: `rt:${randomBytes(6).toString('hex')}:`,
    refreshTokenSecrets: secret(),
    accessTokenSecrets: secret(),
    ...overrides
  }
}

/** An app with the plugin; it closes with the test. */
export async function appWith (t: Test, options: RefreshTokensOptions, server: FastifyServerOptions = {}): Promise<FastifyInstance> {
  const app = Fastify(server)
  t.teardown(async () => await app.close())
  await app.register(refreshTokens, options)
  return app
}

/** The documented request to an endpoint of the app. */
export async function post (
  app: FastifyInstance, path: string, payload: object | string, headers: Record<string, string> = {}
): Promise<LightMyRequestResponse> {
  return await app.inject({ method: 'POST', url: path, payload, headers: { 'content-type': 'application/json', ...headers } })
}

export const REFRESH = '/api/ps/refresh'
export const LOGOUT = '/api/ps/logout'

export { guest }

/** A second decorator of the tests. */
declare module 'fastify' {
  interface FastifyInstance {
    adminSessions: Sessions
  }
}
