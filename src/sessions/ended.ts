import type { Reply } from './outcomes.ts'
import type { ScriptName } from './scripts.ts'

/** Reasons for the end of a session, as announced to subscribers. */
export const endReasons = ['logout', 'reuse', 'replaced', 'evicted', 'expired'] as const

export type EndReason = typeof endReasons[number]

/**
 * Adds the sessions that a script ended to the counts. Only the reply of the script that removed a session reports it, so
 * each session is counted once however many replicas run. Allocates nothing: every refresh runs this.
 */
export function countEnded (counts: Record<EndReason, number>, script: ScriptName, reply: Reply): void {
  switch (script) {
    case 'rotate':
      if (reply[0] === 'reused') counts.reuse++
      else if (reply[0] === 'expired') counts.expired++
      // A successful refresh has an eighth element only if it pruned other sessions; the other outcomes end none.
      else if (reply.length < 8) return
      break
    case 'find':
      return
    case 'open':
      if (reply[0] !== 'opened') return
      counts.replaced += reply[7] as number
      counts.evicted += reply[8] as number
      break
    case 'revoke':
      if (reply[0] === 'revoked') counts.logout++
      break
    case 'revoke-all':
      counts.logout += reply[2] as number
  }
  // The last element of every reply is the number of expired sessions that the script pruned.
  counts.expired += reply.at(-1) as number
}
