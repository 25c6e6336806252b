import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { openSession, secrets, startOurs } from './harness/contenders.ts'
import { startRedis } from './harness/redis.ts'
import { quantile } from './harness/statistics.ts'
import { measureCosts } from './validator/costs.ts'

/**
 * `npm run bench:validator`: measures how soon a revocation takes effect in every validator, and the cost of a validation.
 * One service, a real Redis, and three validators, each in its own process on this machine.
 */

const ROUNDS = 300
const VALIDATORS = 3

const redis = await startRedis()
const service = await startOurs(redis.url)
const options = { redisUrl: redis.url, secrets: secrets.access }
const validators: ChildProcess[] = []

/** Milliseconds from the DELETE's answer to each validator's first rejection; negative if the rejection came first. */
async function revoke (userId: number): Promise<number[]> {
  const { token } = await openSession(service.internalUrl, userId)
  // Each validator sends `warm` once it answers from its cache, then the time of its first rejection.
  const warm = validators.map(async child => await once(child, 'message'))
  for (const child of validators) child.send({ token })
  await Promise.all(warm)
  const rejections = validators.map(async child => BigInt((await once(child, 'message'))[0]))
  await (await fetch(`${service.internalUrl}/internal/users/${userId}/sessions`, {
    method: 'DELETE', headers: { authorization: `Bearer ${secrets.apiKey}` }
  })).arrayBuffer()
  const answered = process.hrtime.bigint() // all processes of a machine share this clock
  return (await Promise.all(rejections)).map(at => Number(at - answered) / 1e6)
}

try {
  for (let i = 0; i < VALIDATORS; i++) validators.push(fork(new URL('./validator/worker.ts', import.meta.url)))
  for (const child of validators) {
    child.send({ options })
    await once(child, 'message')
  }
  const each: number[] = []
  const last: number[] = []
  for (let round = 1; round <= ROUNDS; round++) {
    const times = await revoke(round)
    each.push(...times)
    last.push(Math.max(...times))
  }
  for (const child of validators) child.kill()

  console.log(`From the DELETE's answer to the first rejection, ${ROUNDS} log-outs, ${VALIDATORS} validators, each asked every millisecond`)
  for (const [name, times] of [['each validator', each], ['the slowest validator', last]] as const) {
    const [p50, p99, max] = [0.5, 0.99, 1].map(share => quantile(times, share).toFixed(2))
    console.log(`  ${name.padEnd(24)} p50 ${p50} ms   p99 ${p99} ms   max ${max} ms`)
  }
  const tokens: string[] = []
  for (let i = 1; i <= 500; i++) tokens.push((await openSession(service.internalUrl, i)).token)
  await measureCosts(options, tokens)
} finally {
  for (const child of validators) child.kill()
  await service.stop()
  await redis.stop()
}
