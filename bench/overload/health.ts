import { setTimeout as delay } from 'node:timers/promises'
import type { Answer } from './client.ts'

/** Polls /readyz like a load balancer until told to stop. Runs in its own process, because the load keeps the main one busy. */

const answers: Answer[] = []
let isOver = false
process.once('message', () => { isOver = true })
const isRunning = (): boolean => !isOver
process.send!('running')
while (isRunning()) {
  const sent = performance.now()
  const response = await fetch(`${process.argv[2]}/readyz`)
  await response.arrayBuffer()
  answers.push({ status: response.status, ms: performance.now() - sent })
  await delay(100)
}
process.send!(answers)
