import { rmSync } from 'node:fs'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import tap, { type Test } from 'tap'
import { startCluster } from './cluster.ts'
import { redisConf } from './deploy-files.ts'
import type { Deployment } from './deployment.ts'
import { startSentinelGroup } from './sentinel-group.ts'
import { startServer, type RedisServer } from './server.ts'

/**
 * Which Redis the tests of this process run on. The files of test/on-sentinel and test/on-cluster set it and import the
 * tests that are to pass there too.
 */
export const topology = (process.env.TEST_REDIS ?? 'single') as Deployment['topology']

/** A real Redis of the test's own, of whatever topology. What is done to it is done to all of its servers. */
export interface PrivateRedis {
  url: string
  /** What the service needs to know besides the URL. */
  env: Record<string, string>
  /** Of the one server, or the master that was the first. */
  folder: string
  /** The same as the user `reader` of users.acl, where there are users. */
  readerUrl: string
  /** To look at and to prepare what is stored. */
  client: Redis
  /** To look at and to prepare each of its servers. */
  clients: Redis[]
  /** A connection to the server that has the key, which hears announcements in step with its scripts. */
  subscriber (t: Test, key: string): Promise<Redis>
  masters (): Promise<RedisServer[]>
  /** CONFIG SET. */
  configure (name: string, value: string): Promise<void>
  /** Stops it in the middle of whatever it does (SIGSTOP), and lets it go on. */
  freeze (): void
  thaw (): void
  /** Kills it (SIGKILL). */
  kill (): Promise<void>
  /** Starts it again on its old data. */
  start (): Promise<void>
  /** Copies its data; what is returned puts the copy in the place of the data, while it is down. */
  copy (): Promise<() => Promise<void>>
}

/**
 * Starts a Redis with an append-only file and ends it with the test. A single server listens on a unix socket and has no
 * users; a Sentinel group or a Cluster is started once a process, is the same for every test, and goes by the files of
 * deploy/redis, users included.
 */
export async function startRedis (t: Test, settings: string[] = []): Promise<PrivateRedis> {
  if (topology === 'single') return await startSingle(t, settings)
  const deployment = await (shared ??= startShared())
  const { url, passwords } = deployment
  const readerUrl = url.replace(`service:${passwords.service}@`, `reader:${passwords.reader}@`)
  const redis = ofServers(deployment.servers, { ...deployment, readerUrl })
  for (let i = 0; i < settings.length; i += 2) {
    const [name, value] = [settings[i]!.replace('--', ''), settings[i + 1]!]
    const [, before] = await deployment.servers[0]!.client.config('GET', name) as [string, string]
    t.teardown(async () => await redis.configure(name, before))
    await redis.configure(name, value)
  }
  return redis
}

let shared: Promise<Deployment> | undefined

async function startShared (): Promise<Deployment> {
  const folder = await tempFolder(tap)
  const lines = ['appendfsync always']
  const deployment = topology === 'sentinel' ? await startSentinelGroup(folder, { lines }) : await startCluster(folder, { lines })
  tap.teardown(deployment.stop)
  return deployment
}

async function startSingle (t: Test, settings: string[]): Promise<PrivateRedis> {
  const folder = await tempFolder(t)
  const socket = join(folder, 'redis.sock')
  const lines = ['port 0', `unixsocket ${socket}`, 'appendfsync always', 'enable-debug-command local']
  for (let i = 0; i < settings.length; i += 2) lines.push(`${settings[i]!.replace('--', '')} ${settings[i + 1]! || '""'}`)
  const conf = await redisConf('', lines)
  const server = await startServer({ folder, socket, config: () => conf })
  t.teardown(server.stop)
  return ofServers([server], {
    url: `redis+socket://${socket}`, readerUrl: `redis+socket://${socket}`, env: {}, client: server.client, masters: async () => [server], masterOf: async () => server
  })
}

type Place = Pick<Deployment, 'url' | 'env' | 'client' | 'masters' | 'masterOf'> & { readerUrl: string }

function ofServers (servers: RedisServer[], { url, readerUrl, env, client, masters, masterOf }: Place): PrivateRedis {
  return {
    url,
    readerUrl,
    env,
    folder: servers[0]!.folder,
    client,
    clients: servers.map(({ client }) => client),
    masters,
    async subscriber (t, key) {
      const subscriber = (await masterOf(key)).client.duplicate({ retryStrategy: null })
      t.teardown(() => { subscriber.disconnect() })
      return subscriber
    },
    async configure (name, value) {
      await Promise.all(servers.map(async ({ client }) => await client.config('SET', name, value)))
    },
    freeze: () => { for (const server of servers) server.freeze() },
    thaw: () => { for (const server of servers) server.thaw() },
    kill: async () => { await Promise.all(servers.map(async server => await server.kill())) },
    start: async () => { await Promise.all(servers.map(async server => await server.start())) },
    async copy () {
      const move = async (from: string, to: string): Promise<void> => {
        for (const { folder } of servers) {
          await rm(join(folder, to), { recursive: true, force: true })
          await cp(join(folder, from), join(folder, to), { recursive: true })
        }
      }
      await move('appendonlydir', 'copy')
      return async () => await move('copy', 'appendonlydir')
    }
  }
}

const folders = new Set<string>()

/** A folder that is gone when the test is. Short, because the path of a unix socket must be. */
export async function tempFolder (t: Pick<Test, 'teardown'>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'rts-'))
  folders.add(folder)
  t.teardown(async () => {
    await rm(folder, { recursive: true, force: true, maxRetries: 10 })
    folders.delete(folder)
  })
  return folder
}

// tap ends a file that takes too long with this signal. A listener keeps the process for another second, for the teardowns.
process.on('SIGALRM', () => {})
// Ctrl-C and the end of tap itself leave no time for them.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
    process.kill(process.pid, signal)
  })
}
