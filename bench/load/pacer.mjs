// A thread that wakes the generator when requests are due. Node's own timers are whole milliseconds, which is about what
// is measured; Atomics.wait takes fractions, but blocks whoever calls it. Plain JavaScript, because a worker starts
// without the loader of TypeScript.
import { parentPort, workerData } from 'node:worker_threads'

const { dueTimes, epoch } = workerData
const never = new Int32Array(new SharedArrayBuffer(4))

for (const [i, due] of dueTimes.entries()) {
  const wait = epoch + due - performance.timeOrigin - performance.now()
  if (wait > 0.02) Atomics.wait(never, 0, 0, wait)
  parentPort.postMessage(i)
}
