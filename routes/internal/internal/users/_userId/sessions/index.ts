import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ErrorResponse } from '../../../../../../src/schemas/error.ts'
import { SessionList, SessionParams, UserParams } from '../../../../../../src/schemas/sessions.ts'

const errors = { 400: ErrorResponse, 401: ErrorResponse, 500: ErrorResponse }

const iso = (seconds: number): string => new Date(seconds * 1000).toISOString()

const routes: FastifyPluginAsyncTypebox = async app => {
  app.get('/', {
    schema: { params: UserParams, response: { 200: SessionList, ...errors } }
  }, async request => {
    const sessions = await app.sessions.list(Number(request.params.userId))
    return {
      sessions: sessions.map(({ sid, label, gen, createdAt, rotatedAt, expiresAt }) => ({
        sid,
        label,
        generation: gen,
        createdAt: iso(createdAt),
        lastUsedAt: iso(rotatedAt),
        expiresAt: iso(expiresAt)
      }))
    }
  })

  app.delete('/:sid', {
    schema: { params: SessionParams, response: { 204: Type.Null(), ...errors } }
  }, async (request, reply) => {
    await app.sessions.revoke(Number(request.params.userId), request.params.sid)
    return reply.code(204).send(null)
  })

  app.delete('/', {
    schema: { params: UserParams, response: { 204: Type.Null(), ...errors } }
  }, async (request, reply) => {
    await app.sessions.revokeAll(Number(request.params.userId))
    return reply.code(204).send(null)
  })
}

export default routes
