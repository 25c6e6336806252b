import t from 'tap'
import type { Cluster } from 'ioredis'
import { build, tempFolder, type Service } from '../support/helper.ts'
import { startCluster, type RedisCluster } from '../support/redis/cluster.ts'
import { roleOf, until } from '../support/redis/deployment.ts'
import type { RedisServer } from '../support/redis/server.ts'

/** Masters hand their slots to their replicas and leave the Cluster, as for an upgrade. They keep running and answering. */

let redis: RedisCluster
let service: Service
t.before(async () => {
  redis = await startCluster(await tempFolder(t))
  t.teardown(async () => await redis.stop())
  service = await build(t, redis, { REDIS_PREFIX: 'rt:' })
})

async function handOver (old: RedisServer): Promise<void> {
  const [replica] = await old.client.cluster('REPLICAS', await old.client.cluster('MYID')) as string[]
  const heir = redis.servers.find(({ port }) => replica!.includes(`:${port}@`))!
  await heir.client.cluster('FAILOVER')
  await until(async () => await roleOf(old) === 'slave')
}

/** Resolves when every other member of the Cluster lists `old` as a replica. */
async function isReplica (old: RedisServer): Promise<void> {
  for (const { client } of redis.servers.filter(server => server !== old)) {
    await until(async () => {
      const ranges = await client.cluster('SLOTS')
      return ranges.length === 0 || ranges.some(([, , , ...replicas]) => replicas.some(replica => (replica as unknown[])[1] === old.port))
    })
  }
}

t.test('the new master answers the next request of the users of a master that has left', async t => {
  const { refreshToken } = await service.open()
  const old = await redis.masterOf('rt:1')
  await handOver(old)
  // Before the service refreshes the slots by itself.
  await old.client.cluster('RESET')
  const { statusCode } = await service.refresh(refreshToken)
  t.equal(statusCode, 200)
  t.equal((await service.call('GET', '/internal/users/1/sessions')).statusCode, 200)
})

t.test('a service that asks a former master for the slots keeps its other connections', async t => {
  const heir = await redis.masterOf('rt:1')
  let userId = 2
  while (await redis.masterOf(`rt:${userId}`) === heir) userId++
  const { refreshToken } = await service.open({ userId })
  const old = await redis.masterOf(`rt:${userId}`)
  await handOver(old)
  await isReplica(old)
  const client = service.public.redis as unknown as Cluster
  const readSlots = async (): Promise<void> => await new Promise(resolve => client.refreshSlotsCache(() => resolve()))
  await readSlots()
  await old.client.cluster('RESET')
  // Each call asks one server at random.
  for (let i = 0; i < 40; i++) await readSlots()
  const { statusCode } = await service.refresh(refreshToken)
  t.equal(statusCode, 200)
})
