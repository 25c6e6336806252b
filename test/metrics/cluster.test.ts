import t from 'tap'
import { build, tempFolder, until } from '../support/helper.ts'
import { scrape } from '../support/metrics-text.ts'
import { startCluster } from '../support/redis/cluster.ts'

t.test('counts a reconnect when one server of a Cluster closes its connections', async t => {
  const redis = await startCluster(await tempFolder(t))
  t.teardown(redis.stop)
  const service = await build(t, redis, { REDIS_PREFIX: 'rt:' })
  const sample = async (name: string): Promise<number | undefined> => (await scrape(service.internal)).samples.get(`${name}{surface="public"}`)
  const { refreshToken } = await service.open()
  t.equal(await sample('rts_redis_reconnects_total'), 0)
  t.ok(Math.abs((await sample('rts_redis_clock_ahead_seconds'))!) < 60)

  await (await redis.masterOf('rt:1')).client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
  await until('a reconnect is counted', async () => await sample('rts_redis_reconnects_total') === 1)
  t.equal((await service.refresh(refreshToken)).statusCode, 200)
  t.equal(await sample('rts_redis_reconnects_total'), 1)
})
