/** A session that was live when it was last looked at. Frozen: the cache gives the same object to everybody. */
export interface ValidSession {
  /** User id. */
  readonly id: number
  /** Session id: the same from log-in to log-out, however often the session is refreshed. */
  readonly sid: string
  /** From the record, not from the token: a change holds at once. */
  readonly email: string
  readonly role: string
  /**
   * Until when this answer can hold at the most, in Unix seconds: the earlier of the access token's `exp` and the session's
   * expiry. The session may be revoked before, and a refresh may prolong it; then there is a new token, and a new answer.
   * Whoever keeps a connection open for a session closes it or validates again by then.
   */
  readonly expiresAt: number
}
