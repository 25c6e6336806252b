import type { FastifyPluginCallback, FastifyReply, FastifyRequest, onRequestAsyncHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import { challenge, type Scheme } from '../../../src/dpop/binding.ts'
import { accessToken } from '../../../src/http/bearer.ts'
import { createCheck, type SessionRequirement } from './requirement.ts'
import {
  createSessionValidator, SessionValidationError, type PresentedProof, type SessionValidator,
  type SessionValidatorOptions, type ValidSession
} from './index.ts'

/** Options for a new validator, or an existing validator, which the caller must close. */
export type SessionValidationOptions = SessionValidatorOptions | { validator: SessionValidator }

export type { ClaimValue, SessionRequirement } from './requirement.ts'

const refusals = {
  401: '{"code":401,"message":"Unauthorized"}',
  403: '{"code":403,"message":"Forbidden"}',
  503: '{"code":503,"message":"Service Unavailable"}'
}

/**
 * Fastify plugin: `app.requireSession({ roles, claims, maxAge })` makes an `onRequest` hook that accepts live sessions and sets
 * `request.session`. The hook answers all other requests itself, independent of the app's error handler: 401 and 403 with
 * the challenge of RFC 6750 section 3, RFC 9449 section 7.1 or RFC 9470 section 3, 503 when the session can't be validated now.
 */
export const sessionValidation: FastifyPluginCallback<SessionValidationOptions> = fp<SessionValidationOptions>(async (app, options) => {
  const given = 'validator' in options ? checkedValidator(options) : undefined
  const validator = given ?? createSessionValidator(options as SessionValidatorOptions)
  if (given === undefined) app.addHook('onClose', async () => await validator.close())

  app.decorateRequest('session', null)
  app.decorate('requireSession', requirement => {
    const check = createCheck(requirement)
    return async (request, reply) => {
      const presented = accessToken(request.headers.authorization)
      if (presented === undefined) return refuse(reply, 401, { 'www-authenticate': 'Bearer' })
      const { scheme, token } = presented
      try {
        request.session ??= await validator.validate(token, scheme === 'DPoP' ? proofOf(request) : undefined)
      } catch (err) {
        if (!(err instanceof SessionValidationError)) throw err
        if (err.code !== 'unavailable') return refuse(reply, 401, { 'www-authenticate': challenge(scheme, err.code === 'unproved') })
        request.log.warn({ err }, 'the session could not be validated')
        return refuse(reply, 503, { 'retry-after': '1' })
      }
      const refusal = check(request.session)
      if (refusal !== undefined) return refuse(reply, refusal.status, { 'www-authenticate': inScheme(scheme, refusal.challenge) })
    }
  })
}, { name: 'session-validation', fastify: '5.x' })

/** Node joins several headers with commas, and no proof has a comma. The address is the one that the app's trusted proxies report. */
function proofOf ({ headers, method, protocol, host, originalUrl }: FastifyRequest): PresentedProof {
  return { proof: headers['dpop'] as string | undefined, method, url: `${protocol}://${host}${originalUrl}` }
}

function inScheme (scheme: Scheme, challenge: string): string {
  return challenge.replace('Bearer', scheme)
}

/** @throws TypeError, because a mistyped option must not grant access. */
function checkedValidator (options: object): SessionValidator {
  const { validator, ...others } = options as { validator: SessionValidator }
  if (typeof validator?.validate !== 'function') throw new TypeError('validator must be what createSessionValidator returns')
  if (Object.keys(others).length > 0) throw new TypeError('validator must stand alone: the other options are its own')
  return validator
}

/** Sends the body as a string, so that no serializer or response schema of the app changes it. */
function refuse (reply: FastifyReply, status: keyof typeof refusals, headers: Record<string, string>): FastifyReply {
  return reply.code(status).headers(headers).type('application/json; charset=utf-8').send(refusals[status])
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by the hook of `app.requireSession`; `null` before. */
    session: ValidSession | null
  }

  interface FastifyInstance {
    requireSession (requirement?: SessionRequirement): onRequestAsyncHookHandler
  }
}
