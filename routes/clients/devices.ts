import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fastJsonStringify from 'fast-json-stringify'
import type { Core } from '#src/core/core'
import { createDeviceAccess } from '#src/core/device-access'
import { JSON_TYPE } from '#src/http/json'
import { DeviceList, DeviceParams, toDevice } from '#src/schemas/devices'
import { ErrorResponse, TooMany, Unavailable } from '#src/schemas/error'

const Refused = {
  ...ErrorResponse,
  description: 'The access token is missing, forged, expired, of an OAuth client, or bound to a key that the request does not prove; or its session ' +
    'has ended. Refresh it, and repeat the request.'
}

const Malformed = { ...ErrorResponse, description: 'The id of the session is malformed.' }

const ended = (what: string) => Type.Null({ description: `${what} has ended, now or before.` })

const errors = { 401: Refused, 429: TooMany, 500: Unavailable }

const documented = { tags: ['Devices'], security: [{ accessToken: [] }] }

/** The answer is sent as a text, so that no serializer of the app around the route changes it. */
const stringify = fastJsonStringify(DeviceList as object)

/** The sessions of a user, for the user. The user and the current session come from the access token alone. */
export const deviceRoutes: FastifyPluginAsyncTypebox<{ core: Core, origin: string | undefined }> = async (app, { core, origin }) => {
  const { store } = core
  const { authenticate, admit } = createDeviceAccess(core, origin)

  app.get('/', {
    schema: {
      operationId: 'listDevices',
      summary: 'List my devices',
      description: 'The live sessions of the access token\'s user, the last used first.',
      ...documented,
      response: { 200: DeviceList, ...errors }
    }
  }, async (request, reply) => {
    const { id, sid } = await authenticate(request, reply)
    const sessions = await admit(async () => await store.list(id))
    reply.header('content-type', JSON_TYPE)
    return stringify({ sessions: sessions.map(session => toDevice(session, sid)) }) as never
  })

  app.delete('/:sid', {
    schema: {
      operationId: 'endDevice',
      summary: 'Log out one of my devices',
      description: 'Ends the session, if it is one of the access token\'s user; it may be the current one. Idempotent.',
      ...documented,
      params: DeviceParams,
      response: { 204: ended('The session'), 400: Malformed, ...errors }
    }
  }, async (request, reply) => {
    const { id } = await authenticate(request, reply)
    await admit(async () => await store.revoke(id, request.params.sid))
    return reply.code(204).send(undefined as never)
  })

  app.delete('/', {
    schema: {
      operationId: 'endOtherDevices',
      summary: 'Log out my other devices',
      description: 'Ends every session of the access token\'s user but the current one, and refuses log-ins in progress that send their ' +
        '`authenticatedAt`. Idempotent.',
      ...documented,
      response: { 204: ended('Every other session'), ...errors }
    }
  }, async (request, reply) => {
    const { id, sid } = await authenticate(request, reply)
    await admit(async () => await store.revokeAll(id, sid))
    return reply.code(204).send(undefined as never)
  })
}
