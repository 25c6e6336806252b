import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { RefreshRefused } from '../../../../../src/errors.ts'
import { ErrorResponse } from '../../../../../src/schemas/error.ts'
import { RefreshRequest, SessionTokens } from '../../../../../src/schemas/refresh.ts'
import { sessionTokens } from '../../../../../src/session-tokens.ts'

const route: FastifyPluginAsyncTypebox = async app => {
  app.post('/', {
    schema: { body: RefreshRequest, response: { 200: SessionTokens, 400: ErrorResponse, 500: ErrorResponse } }
  }, async request => {
    const { deviceId, refreshToken } = request.body
    const claims = app.tokens.verifyRefresh(refreshToken)
    if (claims === undefined) throw new RefreshRefused('forged')

    const rotation = await app.sessions.rotate(claims, deviceId)
    if (!('session' in rotation)) throw new RefreshRefused(rotation.outcome, claims)

    const { outcome, session } = rotation
    const level = outcome === 'recovered' ? 'warn' : 'debug'
    request.log[level]({ outcome, userId: claims.id, sid: claims.sid }, 'refreshed')
    return sessionTokens(app.tokens, session)
  })
}

export default route
