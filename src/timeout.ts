/**
 * Settles as the promise does. After `ms` milliseconds it settles as `onTimeout` does instead: with its result, or with the
 * error that it throws. The promise goes on, and its later result or error is ignored.
 *
 * An answer that reached the process in time counts, even if the process had no time to read it: Node runs an overdue timer before it
 * reads from sockets, and `setImmediate` afterwards.
 */
export function withTimeout<T, U = never> (promise: Promise<T>, ms: number, onTimeout: () => U): Promise<T | U> {
  return new Promise((resolve, reject) => {
    let immediate: NodeJS.Immediate | undefined
    const timer = setTimeout(() => { immediate = setImmediate(expire) }, ms)
    function expire (): void {
      try {
        resolve(onTimeout())
      } catch (err) {
        reject(err)
      }
    }
    function stop (): void {
      clearTimeout(timer)
      clearImmediate(immediate)
    }
    promise.then(value => {
      stop()
      resolve(value)
    }, err => {
      stop()
      reject(err)
    })
  })
}
