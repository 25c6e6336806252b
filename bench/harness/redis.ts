import { spawnSync } from 'node:child_process'
import type { Redis } from 'ioredis'
import { startServer } from '../../test/support/redis/server.ts'
import { canPin, running, temporaryFolder } from './processes.ts'

/** A Redis server for one contender. */
export interface PrivateRedis {
  url: string
  client: Redis
  pid: number
  /** Microseconds of CPU since its start, and bytes of memory. */
  info (): Promise<{ cpu: number, memory: number, keys: number, version: string }>
  stop (): Promise<void>
}

/**
 * Starts Redis as the README recommends for production: every write goes to the append-only file. Rewriting that file is
 * off, because its fork would slow down some rounds and not others.
 */
export async function startRedis (): Promise<PrivateRedis> {
  const { client, pid, port, stop } = await startServer({
    folder: temporaryFolder(),
    config: port => `port ${port}
bind 127.0.0.1
save ""
appendonly yes
auto-aof-rewrite-percentage 0
maxmemory-policy noeviction
hash-max-listpack-value 256
`
  })
  running.add(pid)
  if (canPin) spawnSync('taskset', ['--all-tasks', '--cpu-list', '--pid', '1', String(pid)])
  return {
    url: `redis://127.0.0.1:${port}`,
    client,
    pid,
    info: async () => {
      const text = await client.info()
      const field = (name: string): string => new RegExp(`^${name}:(.*)\r$`, 'm').exec(text)?.[1] ?? ''
      return {
        cpu: (Number(field('used_cpu_user')) + Number(field('used_cpu_sys'))) * 1e6,
        memory: Number(field('used_memory')),
        keys: await client.dbsize(),
        version: field('redis_version')
      }
    },
    stop: async () => {
      await stop()
      running.delete(pid)
    }
  }
}
