import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { freePort } from '../ports.ts'

/** A redis-server or Sentinel process. */
export interface RedisServer {
  port: number
  /** Id of the current process. */
  readonly pid: number
  folder: string
  /** A connection of a user with all permissions; commands wait while the server is down. */
  client: Redis
  /** Pauses the process (SIGSTOP); `thaw` resumes it. */
  freeze (): void
  thaw (): void
  /** Kills the process (SIGKILL). */
  kill (): Promise<void>
  /** Restarts the process on its data and port. */
  start (): Promise<void>
  /** Stops the process and closes the client. */
  stop (): Promise<void>
}

export interface ServerOptions {
  folder: string
  /** Returns the configuration file for two free ports: the server's and the Cluster bus's. */
  config: (port: number, busPort: number) => string
  /** Unix socket for `client`; otherwise it uses the port. */
  socket?: string
  username?: string
  password?: string
  sentinel?: boolean
}

const binary = ['redis-server', 'valkey-server'].find(name => spawnSync(name, ['--version']).status === 0)!

/** Attempts with another port if the port is taken in the meantime. */
const ATTEMPTS = 5

export async function startServer (options: ServerOptions): Promise<RedisServer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(options)
    } catch (err) {
      if (attempt === ATTEMPTS) throw err
    }
  }
}

async function startOnce ({ folder, config, socket, username, password, sentinel = false }: ServerOptions): Promise<RedisServer> {
  const port = await freePort()
  const file = join(folder, sentinel ? 'sentinel.conf' : 'redis.conf')
  await mkdir(folder, { recursive: true })
  // Sentinel and CONFIG REWRITE write to this file, so it is a copy.
  await writeFile(file, config(port, await freePort()))

  const client = new Redis({
    ...(socket === undefined ? { host: '127.0.0.1', port } : { path: socket }),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    lazyConnect: true,
    enableReadyCheck: !sentinel,
    retryStrategy: () => 20,
    maxRetriesPerRequest: null
  })
  client.on('error', () => {})
  let child: ChildProcess
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
  const start = async (): Promise<void> => {
    child = spawn(binary, [file, ...(sentinel ? ['--sentinel'] : [])], { cwd: folder, stdio: 'ignore' })
    const failed = once(child, 'exit').then(() => { throw new Error(`the redis-server of ${file} did not start`) })
    failed.catch(() => {})
    if (client.status === 'wait') client.connect().catch(() => {})
    await Promise.race([client.ping(), failed])
  }
  const stop = async (): Promise<void> => {
    client.disconnect()
    await kill()
  }
  try {
    await start()
  } catch (err) {
    await stop()
    throw err
  }
  return {
    port,
    folder,
    client,
    get pid () { return child.pid! },
    freeze: () => { child.kill('SIGSTOP') },
    thaw: () => { child.kill('SIGCONT') },
    kill,
    start,
    stop
  }
}
