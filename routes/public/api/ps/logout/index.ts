import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { RefreshRefused } from '#src/errors'
import { nameOfSession } from '#src/overload/rate-limit-names'
import { ErrorResponse, TooMany, Unavailable } from '#src/schemas/error'
import { LogoutRequest } from '#src/schemas/refresh'

const Ended = Type.Null({ description: 'The session has ended, now or before.' })

const Refused = {
  ...ErrorResponse,
  description: 'Every client error gets this answer: a body that is not as documented, and a token that is forged or of another device. ' +
    'No session has ended.'
}

const route: FastifyPluginAsyncTypebox = async app => {
  const { concurrencyLimit, limitSession, sessions, metrics: { logouts } } = app

  app.post('/', {
    config: { counts: 'logouts' },
    schema: {
      operationId: 'logOut',
      tags: ['Refresh'],
      summary: 'Log out: end the session of a refresh token',
      description: 'Idempotent. After the 204, no refresh of the session succeeds. Any refresh token of the session will do, also a used or ' +
        'expired one. Unknown fields are ignored.',
      body: LogoutRequest,
      response: { 204: Ended, 400: Refused, 429: TooMany, 500: Unavailable }
    }
  }, async (request, reply) => {
    const { deviceId, refreshToken } = request.body
    const claims = app.tokens.verifyRefresh(refreshToken)
    if (claims === undefined) throw new RefreshRefused('forged')
    // The counter of refreshes: a thief can't use up the client's limit, nor get a second one.
    if (limitSession !== undefined) await limitSession(request, nameOfSession(claims.sid, deviceId))

    concurrencyLimit.acquire()
    let outcome
    try {
      outcome = await sessions.logOut(claims, deviceId)
    } finally {
      concurrencyLimit.release()
    }
    if (outcome === 'device_mismatch') throw new RefreshRefused(outcome, claims)

    logouts[outcome]++
    request.log.debug({ outcome, userId: claims.id, sid: claims.sid }, 'logged out')
    return reply.code(204).send(null)
  })
}

export default route
