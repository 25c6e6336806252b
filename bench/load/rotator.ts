import { createClient, whenReady } from '../../src/redis/client.ts'
import { createSessionStore } from '../../src/sessions/store.ts'
import { parseRedisUrl } from '../../src/settings/redis-url.ts'
import type { PresentedToken } from '../../src/sessions/commands.ts'
import { DEVICE_ID } from '../harness/contenders.ts'

/** Rotates sessions through the product's store, without its HTTP server, so that Redis is the bottleneck. */

export interface RotatorCommand {
  redisUrl: string
  prefix: string
  /** Refreshed in turn. */
  sessions: PresentedToken[]
  /** Rotations under way at any time. */
  concurrency: number
  seconds: number
}

process.on('message', async (command: RotatorCommand) => {
  try {
    process.send!({ total: await rotate(command) })
  } catch (err) {
    process.send!({ error: String(err) })
  }
})

/** Returns the number of rotations. */
async function rotate ({ redisUrl, prefix, sessions, concurrency, seconds }: RotatorCommand): Promise<number> {
  const redis = createClient(parseRedisUrl(redisUrl)!, {})
  const ready = whenReady(redis)
  await redis.connect()
  await ready
  const store = createSessionStore(redis, { prefix, idleTtl: 2_592_000, absoluteTtl: 31_536_000, retryWindow: 30, maxSessionsPerUser: 50 })
  const end = performance.now() + seconds * 1000
  let total = 0
  const worker = async (): Promise<void> => {
    while (performance.now() < end) {
      const rotation = await store.rotate(sessions.shift()!, DEVICE_ID)
      if (!('session' in rotation) || rotation.outcome !== 'rotated') throw new Error(`the outcome was ${rotation.outcome}`)
      sessions.push(rotation.session.generation)
      total++
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  redis.disconnect()
  return total
}
