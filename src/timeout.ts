/**
 * Settles as the promise does. After `ms` milliseconds it settles as `onTimeout` does instead: with its result, or with the
 * error that it throws. The promise goes on, and its later result or error is ignored.
 */
export function withTimeout<T, U = never> (promise: Promise<T>, ms: number, onTimeout: () => U): Promise<T | U> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      try {
        resolve(onTimeout())
      } catch (err) {
        reject(err)
      }
    }, ms)
    promise.then(value => {
      clearTimeout(timer)
      resolve(value)
    }, err => {
      clearTimeout(timer)
      reject(err)
    })
  })
}
