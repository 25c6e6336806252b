import t from 'tap'
import { userKey } from '#src/redis/records'
import { build, startRedis } from '../support/helper.ts'
import { startProxy } from '../support/proxy.ts'

t.test('answers 500 to a call with a cut connection only when it can no longer take effect', async t => {
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
  t.same(await record(), told, 'the record does not change after the answer')
})
