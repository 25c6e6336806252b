import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { RefreshRefused } from '#src/errors'
import { idempotencyKeyOf } from '#src/http/idempotency-key'
import { ErrorResponse, TooMany, Unavailable } from '#src/schemas/error'
import { RefreshHeaders, RefreshRequest, SessionTokens, sessionTokens } from '#src/schemas/refresh'
import { nameOfSession } from '#src/overload/rate-limit-names'

const Refused = {
  ...ErrorResponse,
  description: 'Every client error gets this answer: a body that is not as documented, and a token that is forged, expired, unknown, revoked, ' +
    'reused or sent from another device. Ask the user to log in.'
}

const route: FastifyPluginAsyncTypebox = async app => {
  const { concurrencyLimit, limitSession, sessions, metrics: { refreshes } } = app

  app.post('/', {
    config: { counts: 'refreshes' },
    schema: {
      operationId: 'refresh',
      tags: ['Refresh'],
      summary: 'Trade a refresh token for new tokens',
      description: 'Each refresh token works once. For `REFRESH_RETRY_WINDOW` seconds, a client that lost the answer can repeat its request and ' +
        'gets the same session again; after that, a used token ends its session. With the same `Idempotency-Key`, repeating has no time ' +
        'limit. Unknown fields are ignored.',
      headers: RefreshHeaders,
      body: RefreshRequest,
      response: { 200: SessionTokens, 400: Refused, 429: TooMany, 500: Unavailable }
    }
  }, async request => {
    const { deviceId, refreshToken } = request.body
    const idempotencyKey = idempotencyKeyOf(request.raw)
    const claims = app.tokens.verifyRefresh(refreshToken)
    if (claims === undefined) throw new RefreshRefused('forged')
    // Only after verification, so that made-up tokens can't use up another client's limit.
    if (limitSession !== undefined) await limitSession(request, nameOfSession(claims.sid, deviceId))

    concurrencyLimit.acquire()
    let rotation
    try {
      rotation = await sessions.rotate(claims, deviceId, idempotencyKey)
    } finally {
      concurrencyLimit.release()
    }
    if (!('session' in rotation)) throw new RefreshRefused(rotation.outcome, claims, rotation.unconfirmed === true ? 500 : 400)

    const { outcome, session } = rotation
    refreshes[outcome]++
    const level = outcome === 'recovered' ? 'warn' : 'debug'
    request.log[level]({ outcome, userId: claims.id, sid: claims.sid }, 'refreshed')
    return sessionTokens(app.tokens, session)
  })
}

export default route
