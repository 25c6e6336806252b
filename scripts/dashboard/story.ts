import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import type { Load } from './load.ts'

/** What happened, from when to when in Unix seconds. */
export interface Event {
  what: string
  from: number
  to: number
}

const now = (): number => Date.now() / 1000

/** Lets things go wrong one after another, spread over `seconds`. */
export async function tell (seconds: number, load: Load, redis: Redis): Promise<Event[]> {
  const events: Event[] = []
  const server = Number(/process_id:(\d+)/.exec(await redis.info('server'))![1])
  const part = async (what: string, act: () => Promise<unknown>): Promise<void> => {
    await delay(seconds * 1000 / 5)
    const from = now()
    await act()
    events.push({ what, from, to: now() })
  }
  await part('Redis hangs', async () => {
    process.kill(server, 'SIGSTOP')
    await delay(Math.min(3000, seconds * 1000 / 10))
    process.kill(server, 'SIGCONT')
  })
  await part('used tokens are replayed', async () => { for (const user of load.users.slice(0, 8)) await load.replayOldToken(user) })
  await part('log-outs', async () => { for (const user of load.users.slice(8, 20)) await load.logOut(user) })
  await part('Redis loses writes', async () => { for (const { id } of load.users.slice(20)) await setBack(redis, id) })
  await delay(seconds * 1000 / 5)
  return events
}

/** As a failover that lost writes: the record has a generation that its client has passed. */
async function setBack (redis: Redis, userId: number): Promise<void> {
  const record = await redis.hgetall(`rt:${userId}`)
  for (const [name, value] of Object.entries(record)) {
    if (name.startsWith('s:')) await redis.hset(`rt:${userId}`, name, value.replace(/^\d+/, '1'))
  }
}
