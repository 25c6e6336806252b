import { refreshTokens } from './plugin.ts'
import type { Sessions } from './sessions.ts'

export default refreshTokens
export { refreshTokens }
export type { ClaimsOf, OnEvent, SessionEvent, SessionForClaims } from '#src/core/core'
export type { NewSession, ProfileChange } from '#src/sessions/commands'
export type { ListedSession } from '#src/sessions/listed'
export type { TokensOfSession } from '#src/sessions/session-tokens'
export type { Claims } from '#src/tokens/custom-claims'
export type { UserId } from '#src/tokens/user-id'
export type { GivenClient, RefreshTokensOptions } from './options.ts'
export type { Sessions, VerifiedSession } from './sessions.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Decorated by refresh-token-service, under the name of its option `decoratorName`. */
    sessions: Sessions
  }
}
