import { Cluster, Redis, type ClusterNode } from 'ioredis'
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis-5'
import t, { type Test } from 'tap'
import { parseRedisUrl } from '#src/settings/redis-url'
import type { GivenClient } from '#src/plugin/index'
import { claimsOf, startRedis, tempFolder } from '../support/helper.ts'
import { startCluster } from '../support/redis/cluster.ts'
import { appWith, guest, optionsWith, post, REFRESH } from './helper.ts'

/** The plugin on clients that an app makes itself, with ioredis's defaults, of ioredis 5 and 6. */

async function works (t: Test, client: GivenClient, overrides = {}): Promise<void> {
  t.teardown(() => { client.disconnect() })
  const app = await appWith(t, optionsWith(client, overrides))
  for (let userId = 1; userId <= 20; userId++) {
    const { refreshToken } = await app.sessions.open({ ...guest, userId })
    const refreshed = await post(app, REFRESH, { deviceId: guest.deviceId, refreshToken })
    t.equal(refreshed.statusCode, 200)
    t.match(await app.sessions.verify(refreshed.json().token), { id: userId })
    await app.sessions.revoke(userId, claimsOf(refreshToken).sid)
    t.same(await app.sessions.list(userId), [])
  }
  await app.close()
  t.not(client.status, 'end', 'the client lives on')
}

// Seven servers start.
t.test('the plugin works on ioredis 5 and 6 clients of one server', async t => {
  const redis = await startRedis(t)
  const { options: { path } } = parseRedisUrl(redis.url)! as { options: { path: string } }
  await works(t, new Redis({ path }))
  await works(t, new Redis({ path, lazyConnect: true, enableOfflineQueue: false, enableAutoPipelining: true }))
  await works(t, new Redis5({ path }))
})

t.test('with redisWaitReplicas, opening a session fails with 500 when too few replicas have it', async t => {
  const redis = await startRedis(t)
  const { options: { path } } = parseRedisUrl(redis.url)! as { options: { path: string } }
  const client = new Redis({ path })
  t.teardown(() => { client.disconnect() })
  const app = await appWith(t, optionsWith(client, { redisWaitReplicas: 1 }))
  await t.rejects(app.sessions.open(guest), { statusCode: 500, code: 'RTS_NOT_REPLICATED' })
  t.equal((await app.sessions.list(guest.userId)).length, 1, 'the session is open')
})

t.test('a client that is closed is refused', async t => {
  const closed = new Redis({ path: '/nonexistent', lazyConnect: true })
  closed.disconnect()
  await t.rejects(appWith(t, optionsWith(closed)), { message: 'redis must not be closed' })
})

t.test('the plugin works on ioredis 5 and 6 clients of a Cluster', async t => {
  const cluster = await startCluster(await tempFolder(t))
  t.teardown(cluster.stop)
  const address = parseRedisUrl(cluster.url)! as { nodes: ClusterNode[], options: object }
  // The user of deploy/redis/users.acl may not run CLUSTER INFO.
  const options = { enableReadyCheck: false, redisOptions: address.options }
  await works(t, new Cluster(address.nodes, options))
  await works(t, new Cluster5(address.nodes, options))
})
