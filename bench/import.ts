import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startOurs } from './harness/contenders.ts'
import { startLoad } from './harness/load.ts'
import { spawnNode, temporaryFolder } from './harness/processes.ts'
import { startRedis } from './harness/redis.ts'
import { quantile } from './harness/statistics.ts'

/**
 * `npm run bench:import [sessions] [refreshes a second]`: imports sessions while a service on the same Redis answers refreshes, and prints
 * the time, and the latency of the refreshes meanwhile and before.
 */

const [sessions = 100_000, rate = 1000] = process.argv.slice(2).map(Number)
const USERS = 1000
const SECONDS = 20

const path = join(temporaryFolder(), 'sessions.ndjson')
const file = createWriteStream(path)
for (let userId = 1; userId <= sessions; userId++) {
  const line = { userId: userId + USERS, email: `user${userId}@example.com`, role: 'GUEST', deviceId: `device ${userId}`, legacyToken: randomBytes(32).toString('base64url') }
  if (!file.write(`${JSON.stringify(line)}\n`)) await once(file, 'drain')
}
await new Promise<void>(resolve => { file.end(resolve) })

const redis = await startRedis()
const service = await startOurs(redis.url)
const load = startLoad(true)
await load.sessions(service, await service.open(1, USERS))
const measure = async (): Promise<string> => {
  const { latencies } = await load.open('ours', { connections: 64, warmup: 1, seconds: SECONDS, rate })
  const times = [...latencies]
  return `p50 ${quantile(times, 0.5).toFixed(1)} ms, p99 ${quantile(times, 0.99).toFixed(1)} ms`
}
console.log(`${rate} refreshes a second before: ${await measure()}`)

const during = measure()
await delay(1000)
const begin = performance.now()
const cli = spawnNode(['dist/src/cli/main.js', 'import', path], { env: { REDIS_URL: redis.url } })
console.log(await cli.line('imported'))
const seconds = (performance.now() - begin) / 1000
console.log(`in ${seconds.toFixed(1)} s, ${Math.round(sessions / seconds)} sessions a second, with the start of the process`)
console.log(`${rate} refreshes a second for ${SECONDS} s meanwhile: ${await during}`)

await load.stop()
await service.stop()
await redis.stop()
