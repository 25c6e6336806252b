import type { Reply } from './outcomes.ts'
import type { ScriptName } from './scripts.ts'

/** Why a session ends, as the announcements have it. */
export const endReasons = ['logout', 'reuse', 'replaced', 'evicted', 'expired'] as const

export type EndReason = typeof endReasons[number]

/**
 * Adds the sessions that a script ended, as its reply says, to the counts. Only the reply of the script that removed a
 * session has it, so that it is counted once among any number of replicas. Allocates nothing: every refresh comes here.
 */
export function countEnded (counts: Record<EndReason, number>, script: ScriptName, reply: Reply): void {
  switch (script) {
    case 'rotate':
      if (reply[0] === 'reused') counts.reuse++
      else if (reply[0] === 'expired') counts.expired++
      // One that goes on has ended others when it has a number at all, and the rest end none.
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
  // What the script found expired on its way stands last in every reply.
  counts.expired += reply.at(-1) as number
}
