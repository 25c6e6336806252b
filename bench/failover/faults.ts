import { setTimeout as delay } from 'node:timers/promises'
import { isFollowing, roleOf, until, type Deployment } from '../../test/support/redis/deployment.ts'
import type { RedisCluster } from '../../test/support/redis/cluster.ts'
import type { RedisServer } from '../../test/support/redis/server.ts'

/** Faults of Redis. Each resolves when Redis has recovered: a master with its replicas. */

/** Milliseconds of load before and after a fault, and while replicas are frozen. */
const LOAD_AROUND = 1500
const FROZEN = 600

const USER = 'rt:1'

type Fault<D extends Deployment = Deployment> = (redis: D) => Promise<void>

export const masterKilled: Fault = async redis => {
  await delay(LOAD_AROUND)
  const master = await redis.masterOf(USER)
  await master.kill()
  await replaced(redis, master)
  await master.start()
  await following(master)
  await delay(LOAD_AROUND)
}

/**
 * The frozen master resumes once another server is master, before all servers know: for a moment there are two masters, and
 * a replica may still follow the old one.
 */
export const masterFrozen: Fault = async redis => {
  await delay(LOAD_AROUND)
  const master = await redis.masterOf(USER)
  master.freeze()
  await replaced(redis, master)
  master.thaw()
  await following(master)
  await delay(LOAD_AROUND)
}

/** The master dies after its replicas received nothing from it for `FROZEN` ms: its writes in that time are lost. */
export const writesLost: Fault = async redis => {
  await delay(LOAD_AROUND)
  const master = await redis.masterOf(USER)
  const replicas = redis.servers.filter(server => server !== master)
  for (const replica of replicas) replica.freeze()
  // Otherwise data in the system's socket buffers would still arrive.
  await master.client.call('CLIENT', 'KILL', 'TYPE', 'replica')
  await delay(FROZEN)
  await master.kill()
  for (const replica of replicas) replica.thaw()
  await replaced(redis, master)
  await master.start()
  await following(master)
  await delay(LOAD_AROUND)
}

/** Moves slots to another master one by one, each in 100 ms. */
export const slotsMoved: Fault<RedisCluster> = async redis => {
  await delay(LOAD_AROUND)
  for (let userId = 1; userId <= 10; userId++) await redis.moveSlot(`rt:${userId}`, async () => await delay(100))
  await delay(LOAD_AROUND)
}

/** Waits until another server is the master of the key. */
async function replaced (redis: Deployment, old: RedisServer): Promise<void> {
  await until(async () => {
    const others = redis.servers.filter(server => server !== old)
    if (redis.topology === 'cluster') return await redis.masterOf(USER) !== old
    return (await Promise.all(others.map(roleOf))).includes('master')
  })
}

async function following (server: RedisServer): Promise<void> {
  await until(async () => await isFollowing(server))
}
