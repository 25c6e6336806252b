import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { build, claimsOf, tempFolder, type Service } from '../support/helper.ts'
import { startCluster } from '../support/redis/cluster.ts'
import { roleOf, until, type Deployment } from '../support/redis/deployment.ts'
import { startSentinelGroup } from '../support/redis/sentinel-group.ts'

/** A master dies or hangs while clients refresh: a replica takes over, no session is lost, and no restart is needed. */

/** Milliseconds of silence after which a master is replaced in these tests. */
const failoverAfter = 1000

/** Clients that refresh all the time, one for each user. After a 500 a client keeps its token and tries again. */
interface Crowd {
  /** Resolves when every client has got another 200. */
  served (): Promise<void>
  /** Stops the clients; returns the number of answers by status. */
  stop (): Promise<Map<number, number>>
}

async function startCrowd (service: Service, users: number): Promise<Crowd> {
  const statuses = new Map<number, number>()
  const served = Array<number>(users).fill(0)
  const end = new AbortController()
  const tokens = await Promise.all(served.map(async (_, i) => (await service.open({ userId: i + 1 })).refreshToken))
  const clients = tokens.map(async (token, i) => {
    while (!end.signal.aborted) {
      const response = await service.refresh(token)
      statuses.set(response.statusCode, (statuses.get(response.statusCode) ?? 0) + 1)
      if (response.statusCode === 200) {
        token = response.json().refreshToken
        served[i]!++
      }
      await delay(10)
    }
  })
  return {
    served: async () => {
      const before = [...served]
      await until(async () => served.every((count, i) => count > before[i]!))
    },
    stop: async () => {
      end.abort()
      await Promise.all(clients)
      return statuses
    }
  }
}

/** Asserts that no refresh was refused and every user has one session, which has been refreshed. */
async function assertWhole (t: Test, service: Service, crowd: Crowd, users: number): Promise<void> {
  t.same([...(await crowd.stop()).keys()].filter(status => status !== 200 && status !== 500), [], 'no other answer than 200 and 500')
  const list = async (i: number): Promise<Array<{ generation: number }>> => {
    const response = await service.call('GET', `/internal/users/${i + 1}/sessions`)
    if (response.statusCode === 200) return response.json().sessions
    // The internal listener has its own connection; waiting gives the event loop time to reconnect it.
    await delay(10)
    return await list(i)
  }
  const sessions = await Promise.all(Array.from({ length: users }, async (_, i) => await list(i)))
  t.same(sessions.map(list => list.length), Array(users).fill(1), 'no session is lost')
  t.ok(sessions.every(([session]) => session!.generation > 1))
}

/** The log messages about the connection of the public listener. */
function linesOf ({ log }: Service): unknown[] {
  return log.filter(({ surface, msg }) => surface === 'public' && /connection to Redis/.test(String(msg))).map(({ msg }) => msg)
}

/** One line for each loss and each return, not one for each attempt. Sentinel may end a connection to the new master once more. */
async function lostAndBack (t: Test, service: Service): Promise<void> {
  const lines = (): unknown[] => linesOf(service)
  await until(async () => lines().at(-1) === 'the connection to Redis is back')
  const expected = lines().map((_, i) => `the connection to Redis is ${i % 2 === 0 ? 'lost' : 'back'}`)
  t.same(lines(), expected)
  t.ok(expected.length <= 4, `${expected.length} lines`)
}

async function start<D extends Deployment> (
  t: Test, deploy: (folder: string, options: object) => Promise<D>
): Promise<{ redis: D, service: Service }> {
  const redis = await deploy(await tempFolder(t), { failoverAfter })
  t.teardown(redis.stop)
  // The prefix in users.acl.
  return { redis, service: await build(t, redis, { REDIS_PREFIX: 'rt:' }) }
}

/** The first number for which `check` resolves to true. */
async function indexOf (check: (i: number) => Promise<boolean>): Promise<number> {
  for (let i = 0; ; i++) if (await check(i)) return i
}

const USERS = 12

t.test('Sentinel: sessions survive when the master is killed', async t => {
  const { redis, service } = await start(t, startSentinelGroup)
  await redis.watched()
  const crowd = await startCrowd(service, USERS)
  await crowd.served()
  const old = await redis.masterOf('')
  await old.kill()
  const others = redis.servers.filter(server => server !== old)
  await until(async () => (await Promise.all(others.map(roleOf))).includes('master'))
  await crowd.served()
  await lostAndBack(t, service)

  await old.start()
  await until(async () => await roleOf(old) === 'slave')
  await assertWhole(t, service, crowd, USERS)
})

t.test('Sentinel: sessions survive when the master hangs and returns as a replica', async t => {
  const { redis, service } = await start(t, startSentinelGroup)
  await redis.watched()
  const crowd = await startCrowd(service, USERS)
  await crowd.served()
  const old = await redis.masterOf('')
  old.freeze()
  const others = redis.servers.filter(server => server !== old)
  await until(async () => (await Promise.all(others.map(roleOf))).includes('master'))
  await crowd.served()
  old.thaw()
  await until(async () => await roleOf(old) === 'slave')
  await crowd.served()
  await assertWhole(t, service, crowd, USERS)
})

t.test('Cluster: sessions survive when a master is killed, and the other masters serve meanwhile', async t => {
  const { redis, service } = await start(t, startCluster)
  const crowd = await startCrowd(service, USERS)
  await crowd.served()
  const old = await redis.masterOf('rt:1')
  const elsewhere = USERS + 1 + await indexOf(async i => await redis.masterOf(`rt:${USERS + 1 + i}`) !== old)
  await old.kill()
  const { refreshToken } = await service.open({ userId: elsewhere })
  t.equal((await service.refresh(refreshToken)).statusCode, 200)
  t.equal((await service.internal.inject('/readyz')).statusCode, 200, 'a dead shard takes no replica out of the load balancer')

  await until(async () => await redis.masterOf('rt:1') !== old)
  await crowd.served()
  await lostAndBack(t, service)
  await assertWhole(t, service, crowd, USERS)
})

t.test('Cluster: refreshes succeed while their slot moves to another master', async t => {
  const { redis, service } = await start(t, startCluster)
  const crowd = await startCrowd(service, USERS)
  await crowd.served()
  const old = await redis.masterOf('rt:1')
  await redis.moveSlot('rt:1', async () => {
    await crowd.served()
    // A new session, whose record may have to be created on the target of the slot.
    const { refreshToken } = await service.open({ userId: 1, deviceId: 'laptop' })
    const { sid } = claimsOf(refreshToken)
    let next = ''
    await until(async () => {
      const response = await service.refresh(refreshToken, 'laptop')
      if (response.statusCode === 200) next = response.json().refreshToken
      return response.statusCode !== 500
    })
    t.equal(claimsOf(next).gen, 2)
    await until(async () => (await service.call('DELETE', `/internal/users/1/sessions/${sid}`)).statusCode === 204)
  })
  t.not(await redis.masterOf('rt:1'), old)
  await crowd.served()
  await assertWhole(t, service, crowd, USERS)
})
