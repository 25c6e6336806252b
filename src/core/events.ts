import type { RefusalOutcome } from '#src/errors'
import type { EndReason } from '#src/sessions/replies'
import type { UserId } from '#src/tokens/user-id'

/** What has happened to a session. Each is reported once, by the app in which it happened, and holds no token. */
export type SessionEvent =
  | { type: 'opened', userId: UserId, sid: string }
  /** `retried` repeats a lost answer. `recovered`: Redis had lost writes. */
  | { type: 'refreshed', outcome: 'rotated' | 'retried' | 'recovered', userId: UserId, sid: string }
  /** `reuse`: a copied token came back. `expired` is reported when the session is removed, not at its expiry. */
  | { type: 'ended', reason: EndReason, userId: UserId, sid: string }
  /** A refused refresh or log-out, with the user and the session if the token is authentic. */
  | { type: 'refused', outcome: RefusalOutcome, userId?: UserId, sid?: string }

export type OnEvent = (event: SessionEvent) => void
