import t, { type Test } from 'tap'
import { hashDevice, userKey } from '#src/redis/records'
import { createSessionStore, type SessionStore } from '#src/sessions/store'
import type { Generation } from '#src/tokens/claims'
import { inBatches } from '#src/sessions/batches'
import { guest, startRedis, type PrivateRedis } from '../support/helper.ts'

/** Refreshes of one turn of the event loop share a call of the script. Each is decided as if it had come alone. */

const options = { prefix: 'rt:', idleTtl: 100, absoluteTtl: 1000, retryWindow: 30, maxSessionsPerUser: 5 }

/** Spares the tests a check for each. */
type AtLeastSix = [Generation, Generation, Generation, Generation, Generation, Generation, ...Generation[]]

async function openSessions (t: Test, count: number, overrides: Partial<Parameters<typeof createSessionStore>[1]> = {}): Promise<{
  redis: PrivateRedis
  store: SessionStore
  /** Of the users 1, 2, 3 and so on. */
  generations: AtLeastSix
  scriptCalls: () => Promise<number>
}> {
  const redis = await startRedis(t)
  const store = createSessionStore(redis.client, { ...options, ...overrides })
  const generations: Generation[] = []
  for (let userId = 1; userId <= count; userId++) generations.push((await store.open({ ...guest, userId })).generation)
  // The first call of a connection sends the source of the script, the second its hash.
  for (const token of generations.slice(0, 2)) await store.rotate({ ...token, gen: 1 }, 'another device')
  await redis.client.config('RESETSTAT')
  return {
    redis,
    store,
    generations: generations as AtLeastSix,
    scriptCalls: async () => Number(/cmdstat_evalsha:calls=(\d+)/.exec(await redis.client.info('commandstats'))?.[1] ?? 0)
  }
}

t.test('refreshes of one turn share a call, at most 64 in each', async t => {
  const { store, generations, scriptCalls } = await openSessions(t, 65)
  const rotations = await Promise.all(generations.map(async token => await store.rotate(token, guest.deviceId)))
  t.same(rotations.map(rotation => 'session' in rotation && rotation.session.generation.id), generations.map(({ id }) => id))
  t.same(rotations.map(({ outcome }) => outcome), generations.map(() => 'rotated'))
  t.equal(await scriptCalls(), 2)
})

t.test('each refresh of a call has its own outcome; a damaged record fails alone', async t => {
  const seen: unknown[] = []
  const { redis, store, generations, scriptCalls } = await openSessions(t, 6, {
    observe: ({ script, keys }, _seconds, result) => { if (script === 'rotate') seen.push([keys.length, result]) }
  })
  seen.length = 0
  const [damaged, wrongType, expired, stranger, used, good] = generations
  await redis.client.hdel(userKey('rt:', damaged.id), 'role')
  await redis.client.set(userKey('rt:', wrongType.id), 'text')
  const past = Number((await redis.client.time())[0]) - 10
  await redis.client.hset(userKey('rt:', expired.id), `s:${expired.sid}`, `1:${past}:${past}:${past}:${hashDevice(guest.deviceId)}`)
  const tokens = [damaged, wrongType, expired, { ...expired, id: 99 }, stranger, used, used, good]
  const settled = await Promise.allSettled(tokens.map(async (token, i) => await store.rotate(token, i === 4 ? 'another' : guest.deviceId)))
  t.match(settled, [
    { reason: { code: 'RTS_STORE_UNAVAILABLE', message: /damaged/ } },
    { reason: { code: 'RTS_STORE_UNAVAILABLE', message: /WRONGTYPE/ } },
    { value: { outcome: 'expired' } },
    { value: { outcome: 'unknown' } },
    { value: { outcome: 'device_mismatch' } },
    { value: { outcome: 'rotated' } },
    { value: { outcome: 'retried' } },
    { value: { outcome: 'rotated', session: { generation: { id: good.id, gen: 2 } } } }
  ])
  t.equal(await scriptCalls(), 1)
  t.same(seen, [[8, 'ok']])
})

t.test('a pruned session of one record is not counted for the next', async t => {
  const replies: unknown[][] = []
  const { redis, store, generations } = await openSessions(t, 2, {
    observe: (_command, _seconds, _result, reply) => { replies.push(reply!) }
  })
  const past = Number((await redis.client.time())[0]) - 10
  // The session expires sooner than before, so that the script prunes.
  const soon = past + 1000
  const sessions = { [`s:${generations[0].sid}`]: `1:${past}:${past}:${soon}:${hashDevice(guest.deviceId)}`, 's:x': `1:1:1:${past}:d` }
  await redis.client.hset(userKey('rt:', 1), sessions)
  await Promise.all(generations.map(async token => await store.rotate(token, guest.deviceId)))
  const [, , first, second] = replies.at(-1) as [string, number, unknown[], unknown[]]
  t.same(first.at(-1), [['expired', 'x']])
  t.equal(second.length, 6)
})

t.test('times that one record remembers do not keep the next record longer', async t => {
  const { redis, store } = await openSessions(t, 6)
  await store.revokeAll(1)
  await store.updateProfile(2, { role: 'ADMIN' })
  const users = [1, 2, 3]
  const generations = await Promise.all(users.map(async userId => (await store.open({ ...guest, userId })).generation))
  // Under a lowered idle time the script sets each key's expiry by what it has read of the record.
  const lowered = createSessionStore(redis.client, { ...options, idleTtl: 10 })
  const rotations = await Promise.all(generations.map(async token => await lowered.rotate(token, guest.deviceId)))
  const left = await Promise.all(rotations.map(async (rotation, i) =>
    await redis.client.expiretime(userKey('rt:', users[i]!)) - ('session' in rotation ? rotation.session.generation.exp : 0)))
  t.same(left, [600, 600, 0])
})

t.test('a refresh that follows in a later turn has its own call', async t => {
  const { store, generations, scriptCalls } = await openSessions(t, 2)
  for (const token of generations) await store.rotate(token, guest.deviceId)
  t.equal(await scriptCalls(), 2)
})

t.test('an error of a whole call rejects all its refreshes', async t => {
  const { redis, store, generations } = await openSessions(t, 3)
  await redis.client.config('SET', 'maxmemory', '1')
  const settled = await Promise.allSettled(generations.map(async token => await store.rotate(token, guest.deviceId)))
  t.match(settled, generations.map(() => ({ reason: { code: 'RTS_STORE_UNAVAILABLE', message: /OOM/ } })))
})

t.test('batches of one run at once', async t => {
  const begun: number[][] = []
  const run = inBatches<number, number>(1, async calls => {
    begun.push(calls)
    return calls
  })
  const results = Promise.all([run(1), run(2)])
  t.same(begun, [[1], [2]])
  t.same(await results, [1, 2])
})
