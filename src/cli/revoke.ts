import { loadStoreConfig } from '#src/config/environment'
import { toSessionId, toUserId } from './usage.ts'
import { count } from './output.ts'
import { withStore } from './redis.ts'
import type { Run } from './verb.ts'

/** Ends one session of a user, or all of them. Idempotent: a session that has already ended is no error. */
export const revoke: Run = async ({ args: [id, session] }) => {
  const userId = toUserId(id!)
  const sid = session === undefined ? undefined : toSessionId(session)
  const revoked = await withStore(loadStoreConfig(), async store => {
    if (sid === undefined) return await store.revokeAll(userId)
    return await store.revoke(userId, sid) ? [sid] : []
  })
  const subject = sid === undefined ? 'session' : `session ${sid}`
  return {
    document: { userId, revoked },
    text: () => revoked.length === 0
      ? `User ${userId} had no ${subject}: nothing to end.\n`
      : `Ended ${count(revoked.length, 'session')} of user ${userId}:\n${revoked.map(sid => `  ${sid}\n`).join('')}`
  }
}
