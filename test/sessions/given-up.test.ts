import t from 'tap'
import { userKey } from '#src/redis/records'
import { build, startRedis } from '../support/helper.ts'
import { startProxy } from '../support/proxy.ts'

t.test('a call whose connection was cut is given up when it can have no effect any more, and no sooner', async t => {
  const redis = await startRedis(t)
  const proxy = await startProxy(t, new URL(redis.url).pathname)
  const service = await build(t, { url: proxy.url })
  const { id, refreshToken } = await service.open()
  const record = async (): Promise<object> => await redis.client.hgetall(userKey(service.config.REDIS_PREFIX, id))

  const arrived = proxy.arrived()
  proxy.cutNext('underway', 300)
  const { statusCode } = await service.refresh(refreshToken)
  t.equal(statusCode, 500)
  const told = await record()
  await arrived
  t.same(await record(), told, 'what it found when it was answered stays')
})
