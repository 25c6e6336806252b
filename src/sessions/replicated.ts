import type { Redis } from 'ioredis'
import { NotReplicated } from '#src/errors'
import type { Reply } from './outcomes.ts'
import { eachScript, sources, type ServerScripts } from './scripts.ts'

/**
 * Milliseconds that one WAIT may hold its connection. A script queues behind at most one before its own, and both must
 * fit into the runner's time for a call.
 */
const WAIT_TIMEOUT = 250

/** A script on its way: what it is called with, and who waits for its reply. */
interface Call {
  asking: boolean
  args: [source: string, keys: number, ...rest: Array<string | number>]
  resolve: (reply: unknown) => void
  reject: (err: Error) => void
}

/**
 * Scripts that reply when `replicas` replicas have what they wrote, with WAIT. That command holds up its connection and
 * speaks of what was written on it, so the connection must be used for nothing else. Like a database's group commit: what
 * is asked while one WAIT is under way goes out together behind it, so that a lost replica delays nothing but the answers.
 * @throws NotReplicated from a script that has done its work, when too few replicas have it in time.
 */
export function defineReplicatedScripts (redis: Redis, replicas: number): ServerScripts {
  /** There is a list while a WAIT is under way. */
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

/** Sends scripts and one WAIT behind them. The sources, not their hashes: what NOSCRIPT makes ioredis send again would come after it. */
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
    // What came too late has changed nothing that a replica could lack.
    else if (reached < replicas && (reply as Reply)[0] !== 'late') reject(new NotReplicated(reached, replicas))
    else resolve(reply)
  }
}
