import { rmSync } from 'node:fs'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import tap, { type Test } from 'tap'
import { startCluster } from './cluster.ts'
import { redisConf } from './deploy-files.ts'
import { until, type Deployment } from './deployment.ts'
import { startSentinelGroup } from './sentinel-group.ts'
import { startServer, type RedisServer } from './server.ts'

/**
 * The kind of Redis that the tests of this process run on. test/on-sentinel.test.ts and test/on-cluster.test.ts set it for the
 * tests that must pass there too.
 */
export const topology = (process.env.TEST_REDIS ?? 'single') as Deployment['topology']

/** A real Redis of any topology for one test. Its methods act on all of its servers. */
export interface PrivateRedis {
  url: string
  /** Environment variables of the service besides the URL. */
  env: Record<string, string>
  /** Folder of the only server, or of the first master. */
  folder: string
  /** URL for the user `reader` of users.acl; without users, the same as `url`. */
  readerUrl: string
  /** Reads and prepares data. */
  client: Redis
  /** One client for each server. */
  clients: Redis[]
  /** A subscriber at the key's server, which receives announcements in the order of the scripts. */
  subscriber (t: Test, key: string): Promise<Redis>
  masters (): Promise<RedisServer[]>
  /** CONFIG SET. */
  configure (name: string, value: string): Promise<void>
  /** Pauses the processes (SIGSTOP); `thaw` resumes them. */
  freeze (): void
  thaw (): void
  /** Kills the processes (SIGKILL). */
  kill (): Promise<void>
  /** Restarts the processes on their data; a Cluster is whole again when it resolves. */
  start (): Promise<void>
  /** Copies the data. The returned function restores the copy; call it while Redis is down. */
  copy (): Promise<() => Promise<void>>
}

/**
 * Starts a Redis with an append-only file and stops it with the test. Redis writes the file before it answers, so SIGKILL loses nothing;
 * without fsync a busy disk delays no answer. A single server listens on a unix socket and has no
 * users. A Sentinel group or a Cluster starts once per process, is shared by all tests, and uses the files of deploy/redis,
 * including its users.
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
  const lines = ['appendfsync no']
  const deployment = topology === 'sentinel' ? await startSentinelGroup(folder, { lines }) : await startCluster(folder, { lines })
  tap.teardown(deployment.stop)
  return deployment
}

async function startSingle (t: Test, settings: string[]): Promise<PrivateRedis> {
  const folder = await tempFolder(t)
  const socket = join(folder, 'redis.sock')
  const lines = ['port 0', `unixsocket ${socket}`, 'appendfsync no', 'enable-debug-command local']
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
    async start () {
      await Promise.all(servers.map(async server => await server.start()))
      // A master of a Cluster takes no writes until it has heard from the others.
      if (topology === 'cluster') await until(async () => (await Promise.all(servers.map(isWhole))).every(Boolean))
    },
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

async function isWhole ({ client }: RedisServer): Promise<boolean> {
  return (await client.cluster('INFO')).includes('cluster_state:ok')
}

const folders = new Set<string>()

/** Creates a folder and removes it with the test. The path is short, because the path of a unix socket must be short. */
export async function tempFolder (t: Pick<Test, 'teardown'>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'rts-'))
  folders.add(folder)
  t.teardown(async () => {
    await rm(folder, { recursive: true, force: true, maxRetries: 10 })
    folders.delete(folder)
  })
  return folder
}

// tap ends a slow file with this signal. A listener keeps the process alive for another second, so that teardowns run.
process.on('SIGALRM', () => {})
// Ctrl-C and the end of tap itself leave no time for teardowns.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
    process.kill(process.pid, signal)
  })
}
