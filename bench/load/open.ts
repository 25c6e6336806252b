import { Worker } from 'node:worker_threads'
import type { Connection } from './connection.ts'
import type { Sessions } from './sessions.ts'

/** Milliseconds of every request, and of them what the generator itself was late by. */
export interface Latencies {
  latencies: Float64Array
  delays: Float64Array
}

/**
 * Requests come when they come, at random moments (Poisson) of a given mean rate, whether earlier ones have been answered
 * or not. A latency counts from the moment a request was due, so that one that had to wait for a connection or for the
 * generator has waited (no coordinated omission).
 */
export async function openLoop (sessions: Sessions, count: number, warmup: number, seconds: number, rate: number): Promise<Latencies> {
  const idle: Connection[] = [...await sessions.connect(count)]
  const dueTimes = arrivals(rate, warmup * 1000, seconds * 1000)
  const latencies = new Float64Array(dueTimes.length)
  const delays = new Float64Array(dueTimes.length)
  const epoch = performance.timeOrigin + performance.now() + 200 // until the pacer has started
  const now = (): number => performance.timeOrigin + performance.now() - epoch
  let sent = 0
  let due = 0
  let answered = 0

  await new Promise<void>((resolve, reject) => {
    const send = (): void => {
      while (sent < due && idle.length > 0) {
        const connection = idle.shift()! // in turns, so that none is idle for long
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

/** Fewer say nothing about a percentile. */
const LEAST = 20

/** Moments in milliseconds with exponential gaps between them, up to the end or until enough are past the warm-up. */
function arrivals (rate: number, warmup: number, length: number): Float64Array {
  const times: number[] = []
  let measured = 0
  for (let time = 0; time < warmup + length || measured < LEAST; time -= Math.log(1 - Math.random()) * 1000 / rate) {
    times.push(time)
    if (time >= warmup) measured++
  }
  return Float64Array.from(times)
}
