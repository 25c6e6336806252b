import { loadStoreConfig } from '#src/config/environment'
import { toListed } from '#src/sessions/listed'
import { count, printable, table } from './output.ts'
import { withStore } from './redis.ts'
import { toSessionId, toUserId, type Run } from './verb.ts'

/** Lists the live sessions of a user, most recently used first, below one line that names the user. */
export const sessions: Run = async ({ args: [id] }) => {
  const userId = toUserId(id!)
  return await withStore(loadStoreConfig(), async store => {
    const list = await store.list(userId)
    // The list has no profile, because only this command shows one. A session that has just ended has none either.
    const [latest] = list
    const { email = null, role = null } = (latest && await store.find(userId, latest.sid)) ?? {}
    const listed = list.map(toListed)
    const title = [email, role].map(text => printable(text ?? '')).filter(text => text !== '')
    return {
      document: { userId, email, role, sessions: listed },
      text: screen => listed.length === 0
        ? `User ${userId} has no session.\n`
        : `User ${userId}: ${[...title, count(listed.length, 'session')].join(', ')}\n\n` + table(
        ['SID', 'GENERATION', 'CREATED', 'LAST USED', 'EXPIRES', 'LABEL'],
        listed.map(({ sid, generation, createdAt, lastUsedAt, expiresAt, label }) =>
          [sid, String(generation), short(createdAt), short(lastUsedAt), short(expiresAt), printable(label ?? '')]),
        screen
      )
    }
  })
}

/** Drops the milliseconds: Redis stores whole seconds. */
function short (iso: string): string {
  return iso.replace('.000Z', 'Z')
}

/** Ends one session of a user, or all of them. Idempotent: a session that has already ended is no error. */
export const revoke: Run = async ({ args: [id, session] }) => {
  const userId = toUserId(id!)
  const sid = session === undefined ? undefined : toSessionId(session)
  const revoked = await withStore(loadStoreConfig(), async store => {
    if (sid === undefined) return await store.revokeAll(userId)
    return await store.revoke(userId, sid) ? [sid] : []
  })
  return {
    document: { userId, revoked },
    text: () => revoked.length === 0
      ? `User ${userId} had no session${sid === undefined ? '' : ` ${sid}`}: nothing to end.\n`
      : `Ended ${count(revoked.length, 'session')} of user ${userId}:\n${revoked.map(sid => `  ${sid}\n`).join('')}`
  }
}
