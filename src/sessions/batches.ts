interface Waiting<Call, Result> {
  call: Call
  resolve: (result: Result | Promise<Result>) => void
  reject: (err: unknown) => void
}

/**
 * Returns a function that collects the calls of one turn of the event loop and runs them together, at most `size` at a time. `run`
 * returns a result, a promise of it, or an error for each call, in their order; if it rejects, every call does. With a `size` of 1, each
 * call runs at once.
 */
export function inBatches<Call, Result> (
  size: number, run: (calls: Call[]) => Promise<Array<Result | Promise<Result> | Error>>
): (call: Call) => Promise<Result> {
  let batch: Array<Waiting<Call, Result>> = []

  function flush (): void {
    const waiting = batch
    batch = []
    if (waiting.length === 0) return
    run(waiting.map(({ call }) => call)).then(results => {
      waiting.forEach(({ resolve, reject }, i) => {
        const result = results[i]!
        if (result instanceof Error) reject(result)
        else resolve(result)
      })
    }, err => {
      for (const { reject } of waiting) reject(err)
    })
  }

  return call => new Promise((resolve, reject) => {
    const length = batch.push({ call, resolve, reject })
    if (length === size) flush()
    // After the sockets of this turn have been read.
    else if (length === 1) setImmediate(flush)
  })
}
