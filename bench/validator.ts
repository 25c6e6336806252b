import { fork, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { buildApp } from '../src/app.ts'
import { loadConfig, type RunnableConfig } from '../src/config/environment.ts'
import { createHealth } from '../src/health.ts'
import { createMetrics } from '../src/metrics/metrics.ts'
import { planEmbeddedRedis, startEmbeddedRedis } from '../src/embedded/embedded.ts'
import { measureCosts } from './validator/costs.ts'
import { print, quantile } from './validator/print.ts'

/**
 * `npm run bench:validator`: measures how soon a revocation takes effect in every validator, and the cost of a validation.
 * One service, a real Redis, and three validators in their own processes, all on this machine.
 */

const ROUNDS = 300
const VALIDATORS = 3

const made = (): string => randomBytes(64).toString('base64url')
const folder = await mkdtemp(join(tmpdir(), 'rts-'))
const logger = pino({ level: 'silent' })
const redis = await startEmbeddedRedis(await planEmbeddedRedis(folder), logger)
const config = loadConfig({
  REDIS_URL: redis.url, ACCESS_TOKEN_SECRETS: made(), REFRESH_TOKEN_SECRETS: made(), INTERNAL_API_KEY: randomBytes(32).toString('hex')
}) as RunnableConfig
const health = createHealth()
const app = await buildApp('internal', { config, health, metrics: createMetrics(health), logger })
const url = await app.listen({ host: '127.0.0.1', port: 0 })
const options = { redisUrl: redis.url, secrets: config.ACCESS_TOKEN_SECRETS }
const validators: ChildProcess[] = []

async function call (method: string, path: string, body?: object): Promise<Response> {
  return await fetch(`${url}/internal${path}`, {
    method,
    headers: { authorization: `Bearer ${config.INTERNAL_API_KEY}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) })
  })
}

async function open (userId: number): Promise<string> {
  const response = await call('POST', '/sessions', { userId, email: `user${userId}@example.com`, role: 'GUEST', deviceId: 'bench' })
  return (await response.json() as { token: string }).token
}

/** Milliseconds from the DELETE's answer to each validator's first rejection; negative if the rejection came first. */
async function revoke (userId: number): Promise<number[]> {
  const token = await open(userId)
  // Each validator sends `warm` once it answers from its cache, then the time of its first rejection.
  const warm = validators.map(async child => await once(child, 'message'))
  for (const child of validators) child.send({ token })
  await Promise.all(warm)
  const rejections = validators.map(async child => BigInt((await once(child, 'message'))[0]))
  await (await call('DELETE', `/users/${userId}/sessions`)).arrayBuffer()
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

  print(`From the DELETE's answer to the first rejection, ${ROUNDS} log-outs, ${VALIDATORS} validators, each asked every millisecond`)
  for (const [name, times] of [['each validator', each], ['the last of the three', last]] as const) {
    print(`  ${name.padEnd(24)} p50 ${quantile(times, 0.5).toFixed(2)} ms   p99 ${quantile(times, 0.99).toFixed(2)} ms   max ${Math.max(...times).toFixed(2)} ms`)
  }
  const tokens = []
  for (let i = 1; i <= 500; i++) tokens.push(await open(i))
  await measureCosts(options, tokens)
} finally {
  for (const child of validators) child.kill()
  await app.close()
  await redis.stop()
  await rm(folder, { recursive: true, force: true })
}
