import type { Tokens } from '#src/tokens/tokens'
import type { UserId } from '#src/tokens/user-id'
import type { LiveSession } from './replies.ts'

/** The five documented keys: the profile of the user, the access token, and the refresh token, which works once. */
export interface TokensOfSession {
  id: UserId
  email: string
  role: string
  token: string
  refreshToken: string
}

/** Builds the five documented keys from the current state of a session. */
export function sessionTokens (tokens: Tokens, { generation, profile, claims, binding, now }: LiveSession): TokensOfSession {
  return {
    id: generation.id,
    email: profile.email,
    role: profile.role,
    token: tokens.signAccess(generation, now, profile, claims, binding),
    refreshToken: tokens.signRefresh(generation)
  }
}
