import { createClient, whenReady } from '../../src/redis/client.ts'
import type { Redis } from 'ioredis'
import { createCommands, send, type PresentedToken } from '../../src/sessions/commands.ts'
import { toRotations } from '../../src/sessions/replies.ts'
import { defineScripts } from '../../src/sessions/scripts.ts'
import { parseRedisUrl } from '../../src/settings/redis-url.ts'
import { DEVICE_ID } from '../harness/contenders.ts'

/** Sends the product's script for refreshes, with the product's commands and without its HTTP server, so that Redis is the bottleneck. */

export interface RotatorCommand {
  redisUrl: string
  prefix: string
  /** Refreshed in turn. */
  sessions: PresentedToken[]
  /** Refreshes in one call of the script. */
  batch: number
  /** Calls under way at any time. */
  calls: number
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
async function rotate ({ redisUrl, prefix, sessions, batch, calls, seconds }: RotatorCommand): Promise<number> {
  const redis = createClient(parseRedisUrl(redisUrl)!, {}) as Redis
  const ready = whenReady(redis)
  await redis.connect()
  await ready
  const commands = createCommands({ prefix, idleTtl: 2_592_000, absoluteTtl: 31_536_000, retryWindow: 30, maxSessionsPerUser: 50 })
  const { scripts } = defineScripts(redis)
  const end = performance.now() + seconds * 1000
  let total = 0
  const sendCalls = async (): Promise<void> => {
    while (performance.now() < end) {
      const presentations = sessions.splice(0, batch).map(token => ({ token, deviceId: DEVICE_ID, credentials: {} }))
      const rotations = toRotations(await send(scripts, commands.rotate(presentations), Date.now() + 10_000), presentations)
      for (const rotation of rotations) {
        if (!('session' in rotation) || rotation.outcome !== 'rotated') throw new Error(`not rotated: ${JSON.stringify(rotation)}`)
        sessions.push(rotation.session.generation)
      }
      total += rotations.length
    }
  }
  await Promise.all(Array.from({ length: calls }, sendCalls))
  redis.disconnect()
  return total
}
