import type { FastifyPluginAsync } from 'fastify'
import type { Config } from '#src/config/environment'
import type { Core } from '#src/core/core'
import { createSiteCheck } from '#src/cookies/own-site'
import { CrossSite } from '#src/errors'
import { logoutRoute } from './logout.ts'
import { refreshRoute } from './refresh.ts'

/** Refresh and log-out for browsers, with the refresh token in a cookie that no script can read. */
export const cookieRoutes: FastifyPluginAsync<{ core: Core, config: Config }> = async (app, options) => {
  const isOwnSite = createSiteCheck(options.config)
  app.addHook('onRequest', (request, _reply, done) => { done(isOwnSite(request) ? undefined : new CrossSite()) })
  // Only the cookie counts. A body of any type is read up to the limit, and ignored.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, _body, done) => { done(null) })
  await app.register(refreshRoute, { ...options, prefix: '/refresh' })
  await app.register(logoutRoute, { ...options, prefix: '/logout' })
}
