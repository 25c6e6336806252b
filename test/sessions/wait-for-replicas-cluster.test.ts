import t from 'tap'
import { build, claimsOf, guest, tempFolder, type Service } from '../support/helper.ts'
import { startCluster } from '../support/redis/cluster.ts'

/** REDIS_WAIT_REPLICAS in a Cluster, where a command may have to go elsewhere. */

type Answer = Awaited<ReturnType<Service['call']>>

/** Asks again while too few replicas have it, as a caller should: this machine may be slow. */
async function insist (call: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    const answer = await call()
    if (answer.statusCode !== 500) return answer
  }
}

t.test('log-ins and log-outs of a slot that is on its way, and has gone', async t => {
  const redis = await startCluster(await tempFolder(t))
  t.teardown(redis.stop)
  const service = await build(t, redis, { REDIS_PREFIX: 'rt:', REDIS_WAIT_REPLICAS: '1' })
  const sessions = `/internal/users/${guest.userId}/sessions`
  const comeAndGo = async (stage: string): Promise<void> => {
    const opened = await insist(async () => await service.call('POST', '/internal/sessions', guest))
    t.equal(opened.statusCode, 201, stage)
    const { refreshToken } = opened.json()
    t.equal(claimsOf((await service.refresh(refreshToken)).json().refreshToken).gen, 2, stage)
    t.equal((await insist(async () => await service.call('DELETE', sessions))).statusCode, 204, stage)
    t.equal((await service.refresh(refreshToken)).statusCode, 400, stage)
  }

  await comeAndGo('before')
  const old = await redis.masterOf('rt:1')
  // No record is left, so that what comes now is to be made where the slot goes to: ASK.
  await redis.moveSlot('rt:1', async () => await comeAndGo('on its way'))
  t.not(await redis.masterOf('rt:1'), old)
  // MOVED
  await comeAndGo('gone')
})
