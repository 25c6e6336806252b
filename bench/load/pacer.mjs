// A thread that wakes the generator when requests are due. Node's timers have whole milliseconds, about as long as the
// measured latencies. Atomics.wait accepts fractions but blocks its thread. Plain JavaScript, because a worker starts
// without the TypeScript loader.
import { parentPort, workerData } from 'node:worker_threads'

const { dueTimes, epoch } = workerData
const never = new Int32Array(new SharedArrayBuffer(4))

for (const [i, due] of dueTimes.entries()) {
  const wait = epoch + due - performance.timeOrigin - performance.now()
  if (wait > 0.02) Atomics.wait(never, 0, 0, wait)
  parentPort.postMessage(i)
}
