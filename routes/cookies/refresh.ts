import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fastJsonStringify from 'fast-json-stringify'
import type { Config } from '#src/config/environment'
import type { Core } from '#src/core/core'
import { readCookie, toSetCookie } from '#src/cookies/refresh-cookie'
import { idempotencyKeyOf } from '#src/http/idempotency-key'
import { BODY_LIMIT, JSON_TYPE } from '#src/http/json'
import { BrowserTokens, ForeignPage, setCookieHeader } from '#src/schemas/cookies'
import { ErrorResponse, TooMany, Unavailable } from '#src/schemas/error'
import { RefreshHeaders } from '#src/schemas/refresh'

const Refused = {
  ...ErrorResponse,
  description: 'Every client error gets this answer: a cookie that is missing or malformed, and a token that is forged, expired, unknown, revoked, ' +
    'reused or of another device. The cookie stays as it is: another tab may have a newer one by now. Ask the user to log in.'
}

const Refreshed = { ...BrowserTokens, headers: setCookieHeader('The cookie with the next refresh token') }

/** The answer is sent as a text, so that no serializer of the app around the route changes it. It leaves the refresh token out. */
const stringify = fastJsonStringify(BrowserTokens as object)

export const refreshRoute: FastifyPluginAsyncTypebox<{ core: Core, config: Config }> = async (app, { core, config }) => {
  app.post('/', {
    bodyLimit: BODY_LIMIT,
    config: { counts: 'refreshes' },
    schema: {
      operationId: 'refreshWithCookie',
      tags: ['Refresh'],
      summary: 'Trade the refresh token in the cookie for new tokens',
      description: 'For browsers, with `COOKIE_SESSIONS=on`. The next refresh token is in the cookie of the answer, and not in its body. ' +
        'For `REFRESH_RETRY_WINDOW` seconds after that, further requests get the same one: the tabs of a browser share it. A body is ignored.',
      security: [{ refreshCookie: [] }],
      headers: RefreshHeaders,
      response: { 200: Refreshed, 400: Refused, 403: ForeignPage, 429: TooMany, 500: Unavailable }
    }
  }, async (request, reply) => {
    const presented = readCookie(request.headers.cookie)
    const { session, body } = await core.refresh({ ...presented, idempotencyKey: idempotencyKeyOf(request.raw), shared: true }, request)
    reply.header('set-cookie', toSetCookie(config, session, body.refreshToken, presented.deviceId))
    reply.header('content-type', JSON_TYPE)
    return stringify(body) as never
  })
}
