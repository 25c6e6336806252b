import type { Redis } from 'ioredis'
import { NotReplicated } from '#src/errors'
import { isLate, type Reply } from './replies.ts'
import { eachScript, sources, type ServerScripts } from './scripts.ts'

/**
 * Milliseconds that one WAIT may block its connection. A script queues behind at most one other WAIT, and both must fit into
 * the runner's `TIMEOUT`.
 */
const WAIT_TIMEOUT = 250

/** A script to run: its arguments, and the callbacks of its caller's promise. */
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
 * @throws NotReplicated from a script that has done its work, when too few replicas have its writes in time.
 */
export function defineReplicatedScripts (redis: Redis, replicas: number): ServerScripts {
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

  const define = (asking: boolean): ServerScripts['scripts'] => eachScript(name => async (...args) =>
    await new Promise((resolve, reject) => {
      const call: Call = { asking, args: [sources[name], 1, ...args], resolve, reject }
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
    else if (reached < replicas && !isLate(reply as Reply)) reject(new NotReplicated(reached, replicas))
    else resolve(reply)
  }
}
