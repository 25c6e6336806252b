import { setTimeout as delay } from 'node:timers/promises'
import { TIMEOUT } from './runner.ts'

const limits = {
  /** Milliseconds between two attempts to replicate a session's end. */
  pause: 500,
  /** Milliseconds after which the attempts stop: longer than a failover, and than the restart of a replica. */
  giveUpAfter: 300_000,
  /** Maximum number of sessions that wait for replication; beyond it, the oldest is dropped. */
  maxPending: 1000
}

/** Ends a session that reuse was seen on, and rejects unless replicas have that within `ms` milliseconds. */
export type EndReused = (userId: number, sid: string, ms: number) => Promise<unknown>

/** Resolves to whether replicas have the end of a session within `ms` milliseconds; if not, it keeps trying. */
export type Confirm = (userId: number, sid: string, ms: number) => Promise<boolean>

/**
 * Confirms sessions that reuse has just ended on the master. `endReused` always writes, after the removal: a replica that has
 * this write has the removal. If a failover undid the removal, this write removes the session again.
 * The client can't be asked to repeat its request: it may be a thief, and an `unknown` answer waits for no replica.
 */
export function createConfirm (endReused: EndReused, { pause, giveUpAfter, maxPending } = limits): Confirm {
  const pending = new Map<string, { userId: number, until: number }>()
  let isTrying = false

  async function end (userId: number, sid: string, ms: number): Promise<boolean> {
    return await endReused(userId, sid, ms).then(() => true, () => false)
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
    pending.set(sid, { userId, until: performance.now() + giveUpAfter })
    if (!isTrying) tryAgain()
    return false
  }
}
