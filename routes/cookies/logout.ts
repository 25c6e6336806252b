import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyReply } from 'fastify'
import type { Config } from '#src/config/environment'
import type { Core } from '#src/core/core'
import { readCookie, toClearingCookie } from '#src/cookies/refresh-cookie'
import { BODY_LIMIT } from '#src/http/json'
import { ForeignPage, setCookieHeader } from '#src/schemas/cookies'
import { ErrorResponse, TooMany, Unavailable } from '#src/schemas/error'

const LoggedOut = Type.Null({
  description: 'The browser has no cookie, and its session has ended, now or before. The cookie is cleared even if its token is invalid.',
  headers: setCookieHeader('Clears the cookie')
})

const Refused = { ...ErrorResponse, description: 'The body is too large.' }

export const logoutRoute: FastifyPluginAsyncTypebox<{ core: Core, config: Config }> = async (app, { core, config }) => {
  const clearingCookie = toClearingCookie(config)
  // Sends no body, so that no hook of the app around the route adds one.
  const answer = (reply: FastifyReply): FastifyReply => reply.code(204).header('set-cookie', clearingCookie).send(undefined as never)

  app.post('/', {
    bodyLimit: BODY_LIMIT,
    config: { counts: 'logouts', answerRefused: answer },
    schema: {
      operationId: 'logOutWithCookie',
      tags: ['Refresh'],
      summary: 'Log out: end the session of the cookie, and clear the cookie',
      description: 'For browsers, with `COOKIE_SESSIONS=on`. Idempotent. A body is ignored.',
      security: [{ refreshCookie: [] }],
      response: { 204: LoggedOut, 400: Refused, 403: ForeignPage, 429: TooMany, 500: Unavailable }
    }
  }, async (request, reply) => {
    await core.logOut(readCookie(request.headers.cookie), request)
    return answer(reply) as never
  })
}
