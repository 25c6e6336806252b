/** A session that was live at its last look-up. Frozen, because the cache returns the same object to every caller. */
export interface ValidSession {
  /** User id. */
  readonly id: number
  /** Session id: the same from log-in to log-out, however often the session is refreshed. */
  readonly sid: string
  /** From the record, not from the token, so a change takes effect at once. */
  readonly email: string
  readonly role: string
  /**
   * Latest time this answer is valid, in Unix seconds: the earlier of the access token's `exp` and the session's expiry.
   * The session may be revoked earlier. A refresh may prolong it, which gives a new token and a new answer. A service that
   * keeps a connection open for a session closes it or validates again by this time.
   */
  readonly expiresAt: number
}
