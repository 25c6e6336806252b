import t, { type Test } from 'tap'
import type { SessionStore } from '#src/sessions/store'
import { build, guest, startRedis, topology, type PrivateRedis } from '../support/helper.ts'

/** Reads one session: its content, when there is none, and that reading changes nothing. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

interface Setup {
  store: SessionStore
  key: string
  /** The whole record in Redis, including its expiry. */
  bytes: () => Promise<unknown>
}

async function setup (t: Test, server = redis): Promise<Setup> {
  const { config, internal } = await build(t, server)
  const key = `${config.REDIS_PREFIX}${guest.userId}`
  return {
    store: internal.store,
    key,
    bytes: async () => [(await server.client.dumpBuffer(key))?.toString('hex'), await server.client.expiretime(key)]
  }
}

t.test('returns a live session\'s generation and times, the profile and Redis\'s clock, but no device', async t => {
  const { store, bytes } = await setup(t)
  const { generation: { sid, iat }, now } = await store.open({ ...guest, label: 'Pixel 9' })
  const rotation = await store.rotate({ id: guest.userId, sid, gen: 1, exp: now + 100 }, guest.deviceId)
  if (!('session' in rotation)) throw new Error('not rotated')
  const before = await bytes()
  const found = await store.find(guest.userId, sid)
  const { generation, profile } = rotation.session
  t.same(found, {
    ...profile, claims: {}, gen: 2, createdAt: iat, rotatedAt: generation.iat, expiresAt: generation.exp, now: found!.now
  })
  t.ok(found!.now >= now && found!.now <= Number((await redis.client.time())[0]))
  t.same(await bytes(), before)
})

t.test('returns undefined for an unknown user, an unknown session and an ended session', async t => {
  const { store } = await setup(t)
  const { generation: { sid } } = await store.open(guest)
  t.equal(await store.find(2, sid), undefined)
  t.equal(await store.find(guest.userId, 'A'.repeat(22)), undefined)
  await store.revoke(guest.userId, sid)
  t.equal(await store.find(guest.userId, sid), undefined)
})

t.test('returns undefined for a record without a session', async t => {
  const { store, bytes } = await setup(t)
  const { generation: { sid } } = await store.open(guest)
  await store.updateProfile(guest.userId, { role: 'ADMIN' })
  await store.revoke(guest.userId, sid)
  const before = await bytes()
  t.not(before, [undefined, -2])
  t.equal(await store.find(guest.userId, sid), undefined)
  t.same(await bytes(), before)
  t.same(await store.list(guest.userId), [])
})

t.test('returns undefined for an expired session, and does not prune it', async t => {
  const { store, key, bytes } = await setup(t)
  const { generation: { sid }, now } = await store.open(guest)
  await redis.client.hset(key, `s:${sid}`, `1:${now - 100}:${now - 100}:${now}:device`)
  const before = await bytes()
  t.equal(await store.find(guest.userId, sid), undefined)
  t.same(await bytes(), before)
  await redis.client.hset(key, `s:${sid}`, `1:${now - 100}:${now - 100}:${now + 100}:device`)
  t.match(await store.find(guest.userId, sid), { gen: 1, expiresAt: now + 100 })
})

t.test('a damaged record is an error, not an ended session', async t => {
  const { store, key } = await setup(t)
  const { generation: { sid } } = await store.open(guest)
  const value = (await redis.client.hget(key, `s:${sid}`))!
  for (const damage of [{ [`s:${sid}`]: 'x' }, { email: null }, { role: null }]) {
    await redis.client.hset(key, { email: guest.email, role: guest.role, [`s:${sid}`]: value })
    for (const [field, garbage] of Object.entries(damage)) {
      if (garbage === null) await redis.client.hdel(key, field)
      else await redis.client.hset(key, field, garbage)
    }
    await t.rejects(store.find(guest.userId, sid), { code: 'RTS_STORE_UNAVAILABLE', message: /damaged/ })
  }
})

t.test('works on a full Redis and on a read-only replica', async t => {
  const server = await startRedis(t)
  const { store } = await setup(t, server)
  const { generation: { sid } } = await store.open(guest)
  await server.configure('maxmemory', '1')
  t.match(await store.find(guest.userId, sid), { gen: 1 })
  await server.configure('maxmemory', '0')
  if (topology !== 'single') return // masters are not demoted by hand there
  await server.client.replicaof('127.0.0.1', '1')
  await t.rejects(server.client.hset('a', 'b', 'c'), { message: /READONLY/ })
  t.match(await store.find(guest.userId, sid), { gen: 1 })
})

t.test('Lua keeps the largest user id exact', async t => {
  const { store } = await setup(t)
  const userId = Number.MAX_SAFE_INTEGER
  const { generation: { sid } } = await store.open({ ...guest, userId })
  t.match(await store.find(userId, sid), { gen: 1 })
})
