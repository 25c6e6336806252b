import t from 'tap'
import { build, startRedis } from '../support/helper.ts'
import { overRate } from '../support/over-rate.ts'

/** Runs on every topology as the service's user of deploy/redis/users.acl. */
t.test('counts refreshes by address and by session', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis, { RATE_LIMIT_PER_ADDRESS: '100/60', RATE_LIMIT_PER_SESSION: '2/60' })
  for (let userId = 1; userId <= 5; userId++) {
    const { refreshToken } = await service.open({ userId })
    const statuses = []
    for (let i = 0; i < 2; i++) statuses.push((await service.refresh(refreshToken)).statusCode)
    t.same(statuses, [200, 200], `user ${userId}`)
    t.equal((await overRate(async () => await service.refresh(refreshToken))).statusCode, 429, `user ${userId}`)
  }

  const strict = await build(t, redis, { RATE_LIMIT_PER_ADDRESS: '1/60' })
  t.equal((await strict.refresh('forged')).statusCode, 400)
  t.equal((await overRate(async () => await strict.refresh('forged'))).statusCode, 429, 'the address')
})
