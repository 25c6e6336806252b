import type { FastifyInstance, FastifyPluginAsync } from 'fastify'
import { deviceRoutes } from '../../routes/clients/devices.ts'
import { keysRoute } from '../../routes/clients/keys.ts'
import { logoutRoute } from '../../routes/clients/logout.ts'
import { refreshRoute } from '../../routes/clients/refresh.ts'
import { cookieRoutes } from '../../routes/cookies/index.ts'
import { metadataRoute } from '../../routes/oauth/metadata.ts'
import { revokeRoute } from '../../routes/oauth/revoke.ts'
import { tokenRoute } from '../../routes/oauth/token.ts'
import type { SecretConfig } from '#src/config/environment'
import type { Core } from '#src/core/core'
import { createErrorHandler, type Reporter, type WriteError } from '#src/core/error-handler'
import { acceptOnlyForms } from '#src/http/form'
import { acceptOnlyJson } from '#src/http/json'
import { createClients } from '#src/oauth/clients'
import { writeOauthError } from '#src/oauth/errors'
import { validatorCompiler } from '#src/schemas/validation'
import type { ApiKey } from '#src/settings/api-keys'

export interface ClientRoutesOptions {
  core: Core
  reporter: Reporter
  config: SecretConfig
}

/**
 * Refresh, log-out and devices in a scope of their own, with their own parser, validator and error handler. The hooks of the surrounding
 * app still run.
 */
export const clientRoutes: FastifyPluginAsync<ClientRoutesOptions> = async (app, { core, reporter, config }) => {
  isolate(app, reporter)
  acceptOnlyJson(app)
  await app.register(refreshRoute, { prefix: '/refresh', core })
  await app.register(logoutRoute, { prefix: '/logout', core })
  if (config.DEVICE_ROUTES === 'on') await app.register(deviceRoutes, { prefix: '/sessions', core, origin: config.OAUTH_ISSUER })
  if (config.COOKIE_SESSIONS === 'on') await app.register(cookieRoutes, { prefix: '/session', core, config })
}

export interface OauthOptions {
  core: Core
  reporter: Reporter
  config: SecretConfig
  /** The keys of the internal API, whose callers can be confidential clients; `undefined` without an internal API. */
  clients: ApiKey[] | undefined
}

/** OAuth 2.0, in a scope of its own like `clientRoutes`. */
export const oauthRoutes: FastifyPluginAsync<OauthOptions> = async (app, { core, reporter, config, clients }) => {
  isolate(app, reporter, writeOauthError)
  await acceptOnlyForms(app)
  // RFC 6749 section 5.1 demands it beside `Cache-Control`.
  app.addHook('onRequest', (_request, reply, done) => {
    reply.header('pragma', 'no-cache')
    done()
  })
  const authenticate = createClients(clients ?? [])
  await app.register(tokenRoute, { prefix: '/oauth/token', core, authenticate, accessTtl: config.ACCESS_TOKEN_TTL })
  await app.register(revokeRoute, { prefix: '/oauth/revoke', core, authenticate })
}

/** What OAuth clients read before they call: the metadata, and in an app without the service's own routes the public keys. */
export const discoveryRoutes: FastifyPluginAsync<Omit<OauthOptions, 'reporter'>> = async (app, { core, config, clients }) => {
  app.setSerializerCompiler(() => JSON.stringify)
  await app.register(metadataRoute, {
    prefix: '/oauth-authorization-server',
    issuer: config.OAUTH_ISSUER!,
    hasConfidentialClients: clients !== undefined,
    hasProofs: config.DPOP !== 'off'
  })
  if (clients === undefined) await app.register(keysRoute, { jwks: core.jwks })
}

/** Gives a scope a validator and an error handler of its own, and keeps answers out of caches (RFC 6749 section 5.1). */
function isolate (app: FastifyInstance, reporter: Reporter, write?: WriteError): void {
  app.setValidatorCompiler(validatorCompiler)
  // Never used: every answer is a text.
  app.setSerializerCompiler(() => JSON.stringify)
  app.setErrorHandler(createErrorHandler(reporter, write))
  app.addHook('onRequest', (_request, reply, done) => {
    reply.header('cache-control', 'no-store')
    done()
  })
}
