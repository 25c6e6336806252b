import type { FastifyReply, FastifyRequest } from 'fastify'
import { AccessRefused } from '#src/errors'
import { bearerToken } from '#src/http/bearer'
import { activeAccess, type ActiveToken } from '#src/introspection/introspection'
import { nameOfSession } from '#src/overload/rate-limit-names'
import type { AccessClaims } from '#src/tokens/claims'
import type { Core } from './core.ts'

/** Admits the requests of the device routes. */
export interface DeviceAccess {
  /**
   * Returns the claims of the request's access token.
   * @throws AccessRefused unless a user's own app sends the token of a live session. TurnedAway, StoreUnavailable.
   */
  authenticate (request: FastifyRequest, reply: FastifyReply): Promise<AccessClaims>
  /** Runs a call to the store under the concurrency limit. @throws TurnedAway */
  admit<T> (run: () => Promise<T>): Promise<T>
}

export function createDeviceAccess ({ store, tokens, limits }: Pick<Core, 'store' | 'tokens' | 'limits'>): DeviceAccess {
  const { concurrencyLimit, limitSession } = limits

  const admit: DeviceAccess['admit'] = async run => {
    concurrencyLimit.acquire()
    try {
      return await run()
    } finally {
      concurrencyLimit.release()
    }
  }

  return {
    admit,

    async authenticate (request, reply) {
      const token = bearerToken(request.headers.authorization)
      const claims = token === undefined ? undefined : tokens.verifyAccess(token)
      // As for refreshes, only an authentic token uses up the limit of its session. The name is none of a refresh's: those have a device.
      if (claims !== undefined) await limitSession?.(request, nameOfSession(claims.sid))
      const active = claims && await admit(async () => await activeAccess({ store, tokens }, token!))
      if (active !== undefined && isOwn(active)) return active.claims
      // RFC 6750 section 3.1.
      reply.header('www-authenticate', token === undefined ? 'Bearer' : 'Bearer error="invalid_token"')
      throw new AccessRefused()
    }
  }
}

/**
 * Whether the token may be sent by its bearer, and belongs to an app of the user's own: an OAuth client may act for the user only in the
 * APIs that the client is made for. A token that is bound to a key is refused, because no proof is checked here (RFC 9449 section 7.1).
 */
function isOwn ({ claims: { cnf }, session: { clientId } }: ActiveToken<AccessClaims>): boolean {
  return cnf === undefined && clientId === undefined
}
