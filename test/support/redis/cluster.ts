import { join } from 'node:path'
import { Cluster, Command, type Redis } from 'ioredis'
import { makePasswords, redisConf, writeUsers } from './deploy-files.ts'
import { isFollowing, until, type Deployment } from './deployment.ts'
import { startServer, type RedisServer } from './server.ts'

/** A Cluster of three masters, each with a replica, from the files of deploy/redis. */
export interface RedisCluster extends Deployment {
  /** Moves the slot of a key and its keys to another master; `during` runs while the slot is migrating, before its keys move. */
  moveSlot (key: string, during?: () => Promise<void>): Promise<void>
}

const SLOTS = 16384
const MASTERS = 3

/** Maximum node time-out while the Cluster forms, ms: a short one makes servers gossip more often. */
const FORMING_NODE_TIMEOUT = 1000

/** `failoverAfter`: milliseconds without an answer of a master before a failover. */
export async function startCluster (folder: string, { failoverAfter = 60_000, lines = [] as string[] } = {}): Promise<RedisCluster> {
  const passwords = makePasswords()
  const conf = await redisConf(await writeUsers(folder, passwords), [
    'bind 127.0.0.1', 'masteruser replication', `masterauth ${passwords.replication}`, 'repl-diskless-sync-delay 0',
    'enable-debug-command local', 'cluster-enabled yes', `cluster-node-timeout ${Math.min(failoverAfter, FORMING_NODE_TIMEOUT)}`,
    'cluster-allow-replica-migration no', 'cluster-require-full-coverage no', ...lines
  ])
  const servers = await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map(async name => await startServer({
    folder: join(folder, name), username: 'admin', password: passwords.admin, config: (port, bus) => `${conf}port ${port}\ncluster-port ${bus}\n`
  })))
  await assemble(servers)
  await Promise.all(servers.map(async ({ client }) => await client.config('SET', 'cluster-node-timeout', failoverAfter)))

  const client = new Cluster(servers.map(({ port }) => ({ host: '127.0.0.1', port })), {
    redisOptions: { username: 'admin', password: passwords.admin }
  })
  client.on('error', () => {})
  const masters = async (): Promise<RedisServer[]> => {
    const ports = (await readRanges(servers)).map(([, , master]) => master)
    return servers.filter(({ port }) => ports.includes(port))
  }
  const masterOf = async (key: string): Promise<RedisServer> => {
    const slot = slotOf(key)
    const [, , master] = (await readRanges(servers)).find(([from, to]) => from <= slot && slot <= to)!
    return servers.find(({ port }) => port === master)!
  }
  return {
    topology: 'cluster',
    url: `redis+cluster://service:${passwords.service}@${servers.slice(0, MASTERS).map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    env: {},
    passwords,
    servers,
    sentinels: [],
    client: client as unknown as Redis,
    masters,
    masterOf,
    moveSlot: async (key, during = async () => {}) => {
      const from = await masterOf(key)
      const to = (await masters()).find(server => server !== from)!
      await moveSlot(slotOf(key), from, to, passwords.admin, during, await masters())
    },
    stop: async () => {
      client.disconnect()
      await Promise.all(servers.map(async server => await server.stop()))
    }
  }
}

/** Joins six servers into a Cluster: the first three get the slots, each of the others replicates one of them. */
async function assemble (servers: RedisServer[]): Promise<void> {
  await Promise.all(servers.map(async ({ client }, i) => await client.cluster('SET-CONFIG-EPOCH', i + 1)))
  const masters = servers.slice(0, MASTERS)
  await Promise.all(masters.map(async ({ client }, i) =>
    await client.call('CLUSTER', 'ADDSLOTSRANGE', Math.ceil(i * SLOTS / MASTERS), Math.ceil((i + 1) * SLOTS / MASTERS) - 1)))
  for (const { client } of servers.slice(1)) {
    const { port, bus } = await placeOf(servers[0]!)
    await client.call('CLUSTER', 'MEET', '127.0.0.1', port, bus)
  }
  for (const { client } of servers) await until(async () => /cluster_known_nodes:6\r/.test(await client.cluster('INFO')))
  await Promise.all(servers.slice(MASTERS).map(async ({ client }, i) => {
    const id = await masters[i]!.client.cluster('MYID')
    await until(async () => await client.cluster('REPLICATE', id).then(() => true, () => false))
  }))
  for (const replica of servers.slice(MASTERS)) await until(async () => await isFollowing(replica))
  // Every server must know all replicas and their masters, or a first failover would find no replica.
  for (const { client } of servers) {
    await until(async () => /cluster_state:ok\r/.test(await client.cluster('INFO')) &&
      (await client.cluster('SLOTS') as unknown[][]).every(range => range.length === 4))
  }
}

async function placeOf ({ client, port }: RedisServer): Promise<{ port: number, bus: number }> {
  const [, bus] = await client.config('GET', 'cluster-port') as [string, string]
  return { port, bus: Number(bus) }
}

async function moveSlot (
  slot: number, from: RedisServer, to: RedisServer, password: string, during: () => Promise<void>, all: RedisServer[]
): Promise<void> {
  const [fromId, toId] = [await from.client.cluster('MYID'), await to.client.cluster('MYID')]
  await to.client.cluster('SETSLOT', slot, 'IMPORTING', fromId)
  await from.client.cluster('SETSLOT', slot, 'MIGRATING', toId)
  await during()
  for (;;) {
    const keys = await from.client.cluster('GETKEYSINSLOT', slot, 10)
    if (keys.length === 0) break
    await from.client.call('MIGRATE', '127.0.0.1', to.port, '', 0, 5000, 'AUTH2', 'admin', password, 'KEYS', ...keys)
  }
  await during()
  // The new owner is first, so that the slot always has an owner.
  for (const { client } of [to, from, ...all.filter(server => server !== to && server !== from)]) {
    await client.cluster('SETSLOT', slot, 'NODE', toId)
  }
}

/** The slot ranges and the port of each range's master, from a connected server. */
async function readRanges (servers: RedisServer[]): Promise<Array<[from: number, to: number, master: number]>> {
  const { client } = servers.find(({ client }) => client.status === 'ready')!
  return (await client.cluster('SLOTS')).map(([from, to, ...[master]]) => [from, to, master![1]])
}

function slotOf (key: string): number {
  return new Command('get', [key]).getSlot()
}
