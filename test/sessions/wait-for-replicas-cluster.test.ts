import t from 'tap'
import { build, claimsOf, guest, tempFolder, type Service } from '../support/helper.ts'
import { startCluster } from '../support/redis/cluster.ts'

/** REDIS_WAIT_REPLICAS in a Cluster, where a command may be redirected. */

type Answer = Awaited<ReturnType<Service['call']>>

/** Repeats the call while too few replicas confirm it, as a caller should: this machine may be slow. */
async function insist (call: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    const answer = await call()
    if (answer.statusCode !== 500) return answer
  }
}

t.test('log-ins and log-outs work while their slot moves and afterwards', async t => {
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
  // No record is left, so the next ones are created on the slot's new master: ASK.
  await redis.moveSlot('rt:1', async () => await comeAndGo('on its way'))
  t.not(await redis.masterOf('rt:1'), old)
  // MOVED
  await comeAndGo('gone')
})
