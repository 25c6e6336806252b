import type { FastifyPluginCallback, FastifyReply, onRequestAsyncHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import { bearerToken } from '#src/http/bearer'
import { SessionValidationError } from './errors.ts'
import type { SessionValidatorOptions } from './options.ts'
import type { ValidSession } from './session.ts'
import { createSessionValidator, type SessionValidator } from './validator.ts'

/** The validator's own options, or one that was made before; that one stays the caller's to close. */
export type SessionValidationOptions = SessionValidatorOptions | { validator: SessionValidator }

/** What a route asks of a session: any of the roles; without them, that there is one. */
export interface SessionRequirement {
  roles?: readonly string[] | undefined
}

const refusals = {
  401: '{"code":401,"message":"Unauthorized"}',
  403: '{"code":403,"message":"Forbidden"}',
  503: '{"code":503,"message":"Service Unavailable"}'
}

/**
 * Fastify plugin: `app.requireSession({ roles })` makes an `onRequest` hook that lets live sessions pass, and
 * `request.session` is the session then. It answers everybody else by itself, whatever the app does with errors:
 * 401 and 403 with the challenge of RFC 6750 section 3, 503 when nobody can tell.
 */
export const sessionValidation: FastifyPluginCallback<SessionValidationOptions> = fp<SessionValidationOptions>(async (app, options) => {
  const given = 'validator' in options ? checkedValidator(options) : undefined
  const validator = given ?? createSessionValidator(options as SessionValidatorOptions)
  if (given === undefined) app.addHook('onClose', async () => await validator.close())

  app.decorateRequest('session', null)
  app.decorate('requireSession', requirement => {
    const roles = checkedRoles(requirement)
    return async (request, reply) => {
      const token = bearerToken(request.headers.authorization)
      if (token === undefined) return refuse(reply, 401, { 'www-authenticate': 'Bearer' })
      try {
        request.session ??= await validator.validate(token)
      } catch (err) {
        if (!(err instanceof SessionValidationError)) throw err
        if (err.code !== 'unavailable') return refuse(reply, 401, { 'www-authenticate': 'Bearer error="invalid_token"' })
        request.log.warn({ err }, 'the session could not be validated')
        return refuse(reply, 503, { 'retry-after': '1' })
      }
      if (roles !== undefined && !roles.has(request.session.role)) {
        return refuse(reply, 403, { 'www-authenticate': 'Bearer error="insufficient_scope"' })
      }
    }
  })
}, { name: 'session-validation', fastify: '5.x' })

/** @throws TypeError; a mistyped option must not open anything. */
function checkedValidator (options: object): SessionValidator {
  const { validator, ...others } = options as { validator: SessionValidator }
  if (typeof validator?.validate !== 'function') throw new TypeError('validator must be what createSessionValidator returns')
  if (Object.keys(others).length > 0) throw new TypeError('validator must stand alone: the other options are its own')
  return validator
}

/** The same for a route: what it asks is fixed when it is added. */
function checkedRoles (requirement: SessionRequirement = {}): ReadonlySet<string> | undefined {
  if (typeof requirement !== 'object' || requirement === null || Object.keys(requirement).some(name => name !== 'roles')) {
    throw new TypeError('requireSession takes nothing or { roles }')
  }
  const { roles } = requirement
  if (roles === undefined) return undefined
  if (!Array.isArray(roles) || roles.length === 0 || roles.some(role => typeof role !== 'string')) {
    throw new TypeError('roles must be a list of one role or more')
  }
  return new Set(roles)
}

/** Sent as a text, so that no serializer and no response schema of the app changes it. */
function refuse (reply: FastifyReply, status: keyof typeof refusals, headers: Record<string, string>): FastifyReply {
  return reply.code(status).headers(headers).type('application/json; charset=utf-8').send(refusals[status])
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by a hook of `app.requireSession`, `null` before. */
    session: ValidSession | null
  }

  interface FastifyInstance {
    requireSession (requirement?: SessionRequirement): onRequestAsyncHookHandler
  }
}
