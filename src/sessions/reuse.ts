import { setTimeout as delay } from 'node:timers/promises'
import { TIMEOUT, type Runner } from './runner.ts'

const limits = {
  /** Milliseconds between two attempts to bring an end to the replicas. */
  pause: 500,
  /** Milliseconds after which an end is left as it is: longer than a failover, and than the restart of a replica. */
  patience: 300_000,
  /** Sessions whose ends are brought to the replicas at the same time; of more, the oldest are left as they are. */
  maxPending: 1000
}

/** Brings the end of a session to the replicas within `ms` milliseconds. Whether they have it; if not, it goes on trying. */
export type Confirm = (userId: number, sid: string, ms: number) => Promise<boolean>

/**
 * For sessions that reuse has just ended on the master. `run` waits for replicas and writes in any case, and later than the
 * removal: a replica that has this write has the removal. After a failover that undid the removal, the write is a removal.
 * The client can't be asked to repeat its request: it may be a thief, and `unknown` waits for no replica.
 */
export function createConfirm (run: Runner['runWithin'], { pause, patience, maxPending } = limits): Confirm {
  const pending = new Map<string, { userId: number, until: number }>()
  let isTrying = false

  async function end (userId: number, sid: string, ms: number): Promise<boolean> {
    return await run(ms, 'revoke', userId, [sid, 'reuse']).then(() => true, () => false)
  }

  async function tryAgain (): Promise<void> {
    isTrying = true
    while (pending.size > 0) {
      await delay(pause, undefined, { ref: false })
      await Promise.all([...pending].map(async ([sid, { userId, until }]) => {
        if (await end(userId, sid, TIMEOUT) || performance.now() > until) pending.delete(sid)
      }))
    }
    isTrying = false
  }

  return async (userId, sid, ms) => {
    if (await end(userId, sid, ms)) return true
    if (pending.size === maxPending) pending.delete(pending.keys().next().value!)
    pending.set(sid, { userId, until: performance.now() + patience })
    if (!isTrying) tryAgain()
    return false
  }
}
