import { setTimeout as delay } from 'node:timers/promises'
import { freePort, startRedis, type PrivateRedis } from './redis.ts'

/** What a part asks of the Redis behind its replicas, one server or several. */
export type Backend = Pick<PrivateRedis, 'url' | 'stop'> & {
  /** Microseconds of CPU since the start, of all servers. */
  cpu (): Promise<number>
}

const SLOTS = 16384
const MASTERS = 3

/** A Cluster of three masters without replicas: what is measured is the work, not its safety. */
export async function startCluster (): Promise<Backend> {
  const buses = await Promise.all(Array.from({ length: MASTERS }, freePort))
  const servers = await Promise.all(buses.map(async bus => await startRedis('any', ['--cluster-enabled', 'yes', '--cluster-port', String(bus)])))
  const ports = servers.map(({ url }) => Number(new URL(url).port))
  await Promise.all(servers.map(async ({ client }, i) => {
    const start = (n: number): number => Math.floor(SLOTS * n / MASTERS)
    await client.cluster('ADDSLOTSRANGE', start(i), start(i + 1) - 1)
    for (const [j, port] of ports.entries()) await client.call('CLUSTER', 'MEET', '127.0.0.1', port, buses[j]!)
  }))
  for (const { client } of servers) {
    while (!/cluster_state:ok[^]*cluster_size:3/.test(String(await client.cluster('INFO')))) await delay(50)
  }
  return {
    url: `redis+cluster://${ports.map(port => `127.0.0.1:${port}`).join(',')}`,
    cpu: async () => (await Promise.all(servers.map(async server => (await server.info()).cpu))).reduce((sum, cpu) => sum + cpu),
    stop: async () => { await Promise.all(servers.map(async server => await server.stop())) }
  }
}

export async function startSingle (): Promise<Backend> {
  const redis = await startRedis('any')
  return { url: redis.url, cpu: async () => (await redis.info()).cpu, stop: redis.stop }
}
