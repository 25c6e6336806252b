import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { NotReplicated } from '#src/errors'
import type { UserId } from '#src/tokens/user-id'
import { isLate, type Reply } from './replies.ts'
import { TIMEOUT } from './runner.ts'
import { eachScript, sources, type ServerScripts } from './scripts.ts'

/**
 * Milliseconds that one WAIT may block its connection. A script queues behind at most one other WAIT, and both must fit into
 * the runner's `TIMEOUT`.
 */
const WAIT_TIMEOUT = 250

/** A script to run, and the callbacks of its caller's promise. */
interface Call {
  asking: boolean
  args: [source: string, keys: number, ...rest: Array<string | number>]
  resolve: (reply: unknown) => void
  reject: (err: Error) => void
}

/**
 * Scripts that resolve once `replicas` replicas have their writes, by WAIT. WAIT blocks its connection and covers the writes
 * of that connection, so use this connection for nothing else. Calls made during one WAIT are sent together after it, like a
 * database's group commit: a lost replica delays only the answers.
 * @throws UnreplicatedError from a script that has done its work, when too few replicas have its writes in time.
 */
export function defineWaitingScripts (redis: Redis, replicas: number): ServerScripts {
  /** Calls made during the current WAIT; `undefined` when none is under way. */
  let waiting: Call[] | undefined

  async function send (calls: Call[]): Promise<void> {
    while (calls.length > 0) {
      waiting = []
      await sendAndWait(redis, replicas, calls).catch(err => calls.forEach(({ reject }) => reject(err)))
      calls = waiting
    }
    waiting = undefined
  }

  const define = (asking: boolean): ServerScripts['scripts'] => eachScript(name => async (keys, ...args) =>
    await new Promise((resolve, reject) => {
      const call: Call = { asking, args: [sources[name], keys, ...args], resolve, reject }
      if (waiting === undefined) send([call])
      else waiting.push(call)
    }))
  return { scripts: define(false), asking: define(true) }
}

/** Sends scripts and one WAIT after them. EVAL, not EVALSHA: after NOSCRIPT, ioredis would send the script again behind the WAIT. */
async function sendAndWait (redis: Redis, replicas: number, calls: Call[]): Promise<void> {
  const pipeline = redis.pipeline()
  for (const { asking, args } of calls) {
    if (asking) pipeline.asking()
    pipeline.eval(...args)
  }
  pipeline.wait(replicas, WAIT_TIMEOUT)
  const results = (await pipeline.exec())!
  const [waitError, reached] = results.pop() as [Error | null, number]

  for (const { asking, resolve, reject } of calls) {
    if (asking) results.shift()
    const [err, reply] = results.shift()!
    if (err !== null || waitError !== null) reject((err ?? waitError)!)
    // A `late` script has written nothing that a replica could lack.
    else if (reached < replicas && !isLate(reply as Reply)) reject(Object.assign(new NotReplicated(reached, replicas), { reply }))
    else resolve(reply)
  }
}

/** Limits of the attempts to replicate the end of a reused session. */
const confirmLimits = {
  /** Milliseconds between two attempts to replicate a session's end. */
  pause: 500,
  /** Milliseconds after which the attempts stop: longer than a failover, and than the restart of a replica. */
  giveUpAfter: 300_000,
  /** Maximum number of sessions that wait for replication; beyond it, the oldest is dropped. */
  maxPending: 1000
}

/** Ends a session in which reuse was detected. Rejects unless replicas have the end within `ms` milliseconds. */
export type EndReused = (userId: UserId, sid: string, ms: number) => Promise<unknown>

/** Resolves to whether enough replicas have the end of a session within `ms` milliseconds. If not, keeps trying in the background. */
export type Confirm = (userId: UserId, sid: string, ms: number) => Promise<boolean>

/**
 * Confirms that replicas have the end of a reused session, which the master has just removed. `endReused` always writes after
 * the removal, so a replica that has this write has the removal too. If a failover undid the removal, `endReused` repeats it.
 * The client can't be asked to repeat its request: it may be a thief, and an `unknown` answer waits for no replica.
 */
export function createConfirm (endReused: EndReused, { pause, giveUpAfter, maxPending } = confirmLimits): Confirm {
  const pending = new Map<string, { userId: UserId, until: number }>()
  let isTrying = false

  async function end (userId: UserId, sid: string, ms: number): Promise<boolean> {
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
