import { setTimeout as delay } from 'node:timers/promises'
import type { Sessions } from './sessions.ts'

/** Number of correctly answered refreshes, and the seconds they took. */
export interface Count {
  answered: number
  seconds: number
}

/** Wrong answers at which a run stops. */
const MOST_WRONG = 1000

/** Every connection sends its next request after its answer. Returns the answers within the measured seconds. */
export async function closedLoop (sessions: Sessions, connections: number, warmup: number, seconds: number): Promise<Count> {
  let going = true
  let answered = 0
  let before = Infinity
  let answeredOne = (): void => {}
  const oneAnswer = new Promise<void>(resolve => { answeredOne = resolve })
  const loops = (await sessions.connect(connections)).map(async connection => await new Promise<void>(resolve => {
    const again = (right: boolean): void => {
      if (right) answered++
      if (answered > before || sessions.wrong >= MOST_WRONG) answeredOne()
      if (going && sessions.wrong < MOST_WRONG) sessions.refresh(connection, again)
      else resolve()
    }
    sessions.refresh(connection, again)
  }))
  await delay(warmup * 1000)
  before = answered
  const start = performance.now()
  await delay(seconds * 1000)
  // On a busy machine a short run may have no answer yet: wait for one.
  await oneAnswer
  const result = { answered: answered - before, seconds: (performance.now() - start) / 1000 }
  going = false
  await Promise.all(loops)
  return result
}

/** Every connection sends its next request after its answer, until `count` requests are sent. */
export async function countedLoop (sessions: Sessions, connections: number, count: number): Promise<Count> {
  let left = count
  const start = performance.now()
  await Promise.all((await sessions.connect(connections)).map(async connection => await new Promise<void>(resolve => {
    const again = (): void => {
      if (left > 0 && sessions.wrong < MOST_WRONG) {
        left--
        sessions.refresh(connection, again)
      } else {
        resolve()
      }
    }
    again()
  })))
  return { answered: count, seconds: (performance.now() - start) / 1000 }
}
