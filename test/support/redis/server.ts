import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { freePort } from '../ports.ts'

/** A real redis-server of the caller's own, or a Sentinel. */
export interface RedisServer {
  port: number
  /** Of the process that runs now. */
  readonly pid: number
  folder: string
  /** A connection as a user who may do everything; it waits for the server when that is away. */
  client: Redis
  /** Stops it in the middle of whatever it does (SIGSTOP), and lets it go on. */
  freeze (): void
  thaw (): void
  /** Kills it (SIGKILL). */
  kill (): Promise<void>
  /** Starts it again on its old data and its old port. */
  start (): Promise<void>
  /** Ends all of it. */
  stop (): Promise<void>
}

export interface ServerOptions {
  folder: string
  /** Its configuration file, given two free ports: its own and the one of a Cluster's bus. */
  config: (port: number, busPort: number) => string
  /** Where `client` goes, if not to the port. */
  socket?: string
  username?: string
  password?: string
  sentinel?: boolean
}

const binary = ['redis-server', 'valkey-server'].find(name => spawnSync(name, ['--version']).status === 0)!

/** How often another port is tried when somebody was faster. */
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
  // A copy: Sentinel and CONFIG REWRITE write into it.
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
