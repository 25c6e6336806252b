import type { FastifyReply, FastifyRequest } from 'fastify'
import { AccessRefused } from '#src/errors'
import { bindingChallenge, challenge, type Scheme } from '#src/dpop/binding'
import { proofHeader, urlOf } from '#src/dpop/refresh'
import { createProofCheck } from '#src/dpop/replay'
import { accessToken } from '#src/http/bearer'
import { activeAccess } from '#src/introspection/introspection'
import { admit } from '#src/overload/concurrency-limit'
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

/** `origin` is the public one that proofs name; without it, the `Host` header has it. */
export function createDeviceAccess (
  { store, tokens, limits }: Pick<Core, 'store' | 'tokens' | 'limits'>, origin: string | undefined
): DeviceAccess {
  const { concurrencyLimit, limitSession } = limits
  const checkProof = createProofCheck()

  return {
    admit: async run => await admit(concurrencyLimit, run),

    async authenticate (request, reply) {
      const presented = accessToken(request.headers.authorization)
      const claims = presented && tokens.verifyAccess(presented.token)
      // As for refreshes, only an authentic token uses up its session's limit. Refreshes share the counter if they have no device.
      if (claims !== undefined) await limitSession?.(request, nameOfSession(claims.sid))
      const active = claims && await admit(concurrencyLimit, async () => await activeAccess({ store, tokens }, presented!.token))
      // An OAuth client may act for the user only in the APIs that the client is made for.
      const isOwn = active !== undefined && active.session.clientId === undefined
      const proof = { proof: proofHeader(request), method: request.method, url: urlOf(request, origin) }
      const refused = isOwn ? bindingChallenge(checkProof, presented!, claims!.cnf?.jkt, proof) : challengeOf(presented?.scheme)
      if (refused === undefined) return claims!
      reply.header('www-authenticate', refused)
      throw new AccessRefused()
    }
  }
}

/** The challenge of RFC 6750 section 3.1: without an error, if the request has no token. */
function challengeOf (scheme: Scheme | undefined): string {
  return scheme === undefined ? 'Bearer' : challenge(scheme, false)
}
