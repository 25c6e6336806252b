import { Worker } from 'node:worker_threads'
import type { Connection } from './connection.ts'
import type { Sessions } from './sessions.ts'

/** Milliseconds of every request, and the part of them by which the generator itself was late. */
export interface Latencies {
  latencies: Float64Array
  delays: Float64Array
}

/**
 * Requests are due at random moments (Poisson) of a given mean rate, whether earlier ones have been answered or not. Latency
 * counts from the moment a request was due, so it includes waiting for a connection or for the generator (no coordinated
 * omission).
 */
export async function openLoop (sessions: Sessions, count: number, warmup: number, seconds: number, rate: number): Promise<Latencies> {
  const idle: Connection[] = [...await sessions.connect(count)]
  const dueTimes = arrivals(rate, warmup * 1000, seconds * 1000)
  const latencies = new Float64Array(dueTimes.length)
  const delays = new Float64Array(dueTimes.length)
  const epoch = performance.timeOrigin + performance.now() + 200 // gives the pacer time to start
  const now = (): number => performance.timeOrigin + performance.now() - epoch
  let sent = 0
  let due = 0
  let answered = 0

  await new Promise<void>((resolve, reject) => {
    const send = (): void => {
      while (sent < due && idle.length > 0) {
        const connection = idle.shift()! // round robin, so that no connection is idle for long
        const index = sent++
        sessions.refresh(connection, () => {
          latencies[index] = now() - dueTimes[index]!
          idle.push(connection)
          if (++answered === dueTimes.length) resolve()
          else send()
        })
      }
    }
    const pacer = new Worker(new URL('./pacer.mjs', import.meta.url), { workerData: { dueTimes, epoch } })
    pacer.on('error', reject)
    pacer.on('message', (index: number) => {
      due = index + 1
      delays[index] = now() - dueTimes[index]!
      send()
    })
  })
  const measuredFrom = dueTimes.findIndex(time => time >= warmup * 1000)
  return { latencies: latencies.subarray(measuredFrom), delays: delays.subarray(measuredFrom) }
}

/** Minimum number of measured requests: fewer give no meaningful percentile. */
const LEAST = 20

/** Due times in milliseconds with exponential gaps, to the end of the run and until `LEAST` are past the warm-up. */
function arrivals (rate: number, warmup: number, length: number): Float64Array {
  const times: number[] = []
  let measured = 0
  for (let time = 0; time < warmup + length || measured < LEAST; time -= Math.log(1 - Math.random()) * 1000 / rate) {
    times.push(time)
    if (time >= warmup) measured++
  }
  return Float64Array.from(times)
}
