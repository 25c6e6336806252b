import { once } from 'node:events'
import t from 'tap'
import { build, guest, tempFolder, until } from '../support/helper.ts'
import { roleOf } from '../support/redis/deployment.ts'
import { startSentinelGroup } from '../support/redis/sentinel-group.ts'

t.test('a session that ended by reuse and returned in a failover is ended again', async t => {
  const redis = await startSentinelGroup(await tempFolder(t), { failoverAfter: 1000 })
  t.teardown(redis.stop)
  await redis.watched()
  const service = await build(t, redis, { REDIS_PREFIX: 'rt:', REDIS_WAIT_REPLICAS: '2' })
  const call = async (...args: Parameters<typeof service.call>): ReturnType<typeof service.call> => {
    for (;;) {
      const response = await service.call(...args)
      if (response.statusCode !== 500) return response
    }
  }
  const { refreshToken } = (await call('POST', '/internal/sessions', guest)).json()
  const refreshed = async (token: string): Promise<string> => {
    for (;;) {
      const response = await service.refresh(token)
      if (response.statusCode === 200) return response.json().refreshToken
    }
  }
  const second = await refreshed(refreshToken)
  await refreshed(second)
  const old = await redis.masterOf('')
  await old.client.wait(2, 0)
  const replicas = redis.servers.filter(server => server !== old)
  const heard: unknown[] = []
  for (const { client } of replicas) {
    // The subscriber reconnects: Sentinel closes the connections of a server that it promotes.
    const subscriber = client.duplicate().on('error', () => {})
    t.teardown(() => { subscriber.disconnect() })
    await subscriber.subscribe('rt:events')
    subscriber.on('message', (_channel, message) => heard.push(JSON.parse(message)))
  }

  for (const replica of replicas) replica.freeze()
  // Otherwise data in the system's buffers would still reach the replicas.
  await old.client.call('CLIENT', 'KILL', 'TYPE', 'replica')
  t.equal((await service.refresh(refreshToken)).statusCode, 500)
  t.equal((await service.refresh(refreshToken)).statusCode, 400, 'the session has ended, so a second attempt gets a 400')
  const dead = once(old.client, 'close')
  await old.kill()
  await dead
  for (const replica of replicas) replica.thaw()
  await until('a replica takes over', async () => (await Promise.all(replicas.map(roleOf))).includes('master'), 120)
  const sessions = async (): Promise<unknown[] | undefined> => (await service.call('GET', '/internal/users/1/sessions')).json().sessions
  await until('an event of the new master', () => heard.length > 0, 120)
  t.match(heard, [{ type: 'revoked', reason: 'reuse', id: 1 }])
  await until('the session has ended', async () => (await sessions())?.length === 0, 120)
})
