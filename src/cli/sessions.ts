import { loadStoreConfig } from '#src/config/environment'
import { toListed } from '#src/schemas/sessions'
import { toUserId } from './usage.ts'
import { count, printable, table } from './output.ts'
import { withStore } from './redis.ts'
import type { Run } from './verb.ts'

/** Lists the live sessions of a user, most recently used first, below one line that names the user. */
export const sessions: Run = async ({ args: [id] }) => {
  const userId = toUserId(id!)
  return await withStore(loadStoreConfig(), async store => {
    const list = await store.list(userId)
    // The list has no profile, because only this command shows one. A session that has just ended has none either.
    const [latest] = list
    const { email = null, role = null } = (latest && await store.find(userId, latest.sid)) ?? {}
    const listed = list.map(toListed)
    return {
      document: { userId, email, role, sessions: listed },
      text: screen => listed.length === 0
        ? `User ${userId} has no session.\n`
        : `User ${userId}: ${[email, role].filter(text => text !== null).map(text => `${printable(text)}, `).join('')}${count(listed.length, 'session')}\n\n` + table(
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
