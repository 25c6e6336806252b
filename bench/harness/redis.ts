import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawnSync } from 'node:child_process'
import { Redis } from 'ioredis'
import { spawnPinned, temporaryFolders } from './processes.ts'

/** A Redis server for one contender. */
export interface PrivateRedis {
  url: string
  client: Redis
  pid: number
  /** Microseconds of CPU since its start, and bytes of memory. */
  info (): Promise<{ cpu: number, memory: number, keys: number, version: string }>
  stop (): Promise<void>
}

const binary = ['redis-server', 'valkey-server'].find(name => spawnSync(name, ['--version']).status === 0)!

export async function freePort (): Promise<number> {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  await once(server.close(), 'close')
  return port
}

/**
 * Starts Redis as the README recommends for production: every write goes to the append-only file. Rewriting that file is
 * off, because its fork would slow down some rounds and not others.
 */
export async function startRedis (settings: string[] = []): Promise<PrivateRedis> {
  const folder = await mkdtemp(join(tmpdir(), 'rts-bench-'))
  temporaryFolders.add(folder)
  const port = await freePort()
  const server = spawnPinned(1, [
    binary, '--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'yes',
    '--auto-aof-rewrite-percentage', '0', '--maxmemory-policy', 'noeviction', '--hash-max-listpack-value', '256', ...settings
  ])
  await server.line('Ready to accept connections')
  const client = new Redis({ host: '127.0.0.1', port })
  return {
    url: `redis://127.0.0.1:${port}`,
    client,
    pid: server.pid,
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
      client.disconnect()
      await server.stop()
      await rm(folder, { recursive: true, force: true })
      temporaryFolders.delete(folder)
    }
  }
}
