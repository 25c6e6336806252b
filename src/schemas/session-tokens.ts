import type { Static } from '@sinclair/typebox'
import type { SessionTokens } from './refresh.ts'
import type { LiveSession } from '#src/sessions/outcomes'
import type { Tokens } from '#src/tokens/tokens'

/** Builds the five documented keys from the current state of a session. */
export function sessionTokens (tokens: Tokens, { generation, profile, now }: LiveSession): Static<typeof SessionTokens> {
  return {
    id: generation.id,
    email: profile.email,
    role: profile.role,
    token: tokens.signAccess(generation, now),
    refreshToken: tokens.signRefresh(generation)
  }
}
