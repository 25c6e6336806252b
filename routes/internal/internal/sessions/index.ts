import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { toSetCookie } from '#src/cookies/refresh-cookie'
import { ProofsOff } from '#src/errors'
import { setCookieHeader } from '#src/schemas/cookies'
import { ErrorResponse } from '#src/schemas/error'
import { OpenedSession, openSessionRequest } from '#src/schemas/sessions'
import { sessionTokens } from '#src/sessions/session-tokens'

const route: FastifyPluginAsyncTypebox = async app => {
  app.post('/', {
    config: { scope: 'open' },
    schema: {
      operationId: 'openSession',
      tags: ['Sessions'],
      summary: 'Open a session',
      description: 'For the login service, after it has identified the user. Replaces an older session of the same user and device. A session ' +
        'without `deviceId` replaces none, and `POST /api/ps/refresh` refuses it. Beyond ' +
        '`MAX_SESSIONS_PER_USER`, ends the least recently used session. Sets the profile that refreshes return, and the claims of its ' +
        'access tokens; a field that is left out stays as it is, or empty if it was never given; a profile or claims of the user that were changed after `authenticatedAt` stay, and are returned. A session with `jkt` needs `DPOP`.',
      body: openSessionRequest(app.config),
      response: {
        201: {
          ...OpenedSession,
          headers: setCookieHeader('With `COOKIE_SESSIONS=on`, for a session without `clientId`: the login service copies it to its own answer, for a browser')
        },
        400: ErrorResponse,
        401: ErrorResponse,
        409: { ...ErrorResponse, description: 'The user has logged out everywhere since `authenticatedAt`: log in again.' },
        500: ErrorResponse
      }
    }
  }, async (request, reply) => {
    const { deviceId, clientId } = request.body
    if (request.body.jkt !== undefined && app.config.DPOP === 'off') throw new ProofsOff()
    const session = await request.sessions.open(request.body)
    const tokens = sessionTokens(app.tokens, session)
    if (app.config.COOKIE_SESSIONS === 'on' && clientId === undefined) {
      reply.header('set-cookie', toSetCookie(app.config, session, tokens.refreshToken, deviceId))
    }
    return reply.code(201).send(tokens)
  })
}

export default route
