import t, { type Test } from 'tap'
import type { Redis } from 'ioredis'
import type { SessionStore } from '#src/sessions/store'
import { hashIdempotencyKey } from '#src/redis/records'
import { build, guest, startRedis, type PrivateRedis } from '../support/helper.ts'

// Sessions that belong to an OAuth client, or that are bound to a key (RFC 9449).

let redis: PrivateRedis
let client: Redis
t.before(async () => {
  redis = await startRedis(t)
  client = redis.client
})

const KEY = 'a'.repeat(43)
const OTHER_KEY = 'b'.repeat(43)
const CLIENT = 'https://app.example.com/:client'

async function setup (t: Test, overrides: Record<string, string> = {}): Promise<{ store: SessionStore, key: string }> {
  const service = await build(t, redis, { REFRESH_RETRY_WINDOW: '0', ...overrides })
  return { store: service.public.store, key: `${service.config.REDIS_PREFIX}${guest.userId}` }
}

t.test('a session of a client is refreshed and ended for this client alone', async t => {
  const { store, key } = await setup(t)
  await store.open({ ...guest, deviceId: 'laptop' })
  const opened = await store.open({ ...guest, clientId: CLIENT })
  const { generation } = opened
  t.same(opened.binding, { clientId: CLIENT })
  t.equal(await client.hget(key, `o:${generation.sid}`), CLIENT)
  for (const clientId of [undefined, '', 'other', `${CLIENT}x`]) {
    t.same(await store.rotate(generation, guest.deviceId, { clientId }), { outcome: 'client_mismatch' })
    t.equal(await store.logOut(generation, guest.deviceId, clientId), 'client_mismatch')
  }
  t.match(await store.rotate(generation, 'other', { clientId: CLIENT }), { outcome: 'device_mismatch' })
  const rotated = await store.rotate(generation, guest.deviceId, { clientId: CLIENT })
  t.match(rotated, { outcome: 'rotated', session: { binding: { clientId: CLIENT } } })
  t.match(await store.find(guest.userId, generation.sid), { clientId: CLIENT })
  t.equal(await store.logOut(generation, guest.deviceId, CLIENT), 'ended')
  t.equal(await client.hexists(key, `o:${generation.sid}`), 0, 'the client is removed with the session')
})

t.test('a session without a client is refreshed for every client', async t => {
  const { store } = await setup(t)
  const { generation, binding } = await store.open(guest)
  t.equal(binding, undefined)
  t.match(await store.rotate(generation, guest.deviceId, { clientId: CLIENT }), { outcome: 'rotated' })
  t.equal(await store.logOut(generation, guest.deviceId, CLIENT), 'ended')
})

t.test('a session without a device is refreshed and ended without one', async t => {
  const { store } = await setup(t)
  const { deviceId: _, ...login } = guest
  const { generation } = await store.open(login)
  t.same(await store.rotate(generation, '-'), { outcome: 'device_mismatch' })
  t.match(await store.rotate(generation, undefined), { outcome: 'rotated' })
  t.equal(await store.logOut(generation, undefined), 'ended')
  const { generation: withDevice } = await store.open(guest)
  t.same(await store.rotate(withDevice, undefined), { outcome: 'device_mismatch' })
  t.equal(await store.logOut(withDevice, undefined), 'device_mismatch')
})

t.test('a session that is opened with a key is refreshed with this key alone', async t => {
  const { store, key } = await setup(t)
  await store.open({ ...guest, deviceId: 'laptop' })
  const opened = await store.open({ ...guest, jkt: KEY })
  const { generation } = opened
  t.same(opened.binding, { jkt: KEY })
  t.equal(await client.hget(key, `k:${generation.sid}`), KEY)
  for (const jkt of [undefined, OTHER_KEY]) t.same(await store.rotate(generation, guest.deviceId, { jkt }), { outcome: 'key_mismatch' })
  t.match(await store.rotate(generation, guest.deviceId, { jkt: KEY }), { outcome: 'rotated', session: { binding: { jkt: KEY } } })
  t.match(await store.find(guest.userId, generation.sid), { jkt: KEY })
  t.equal(await store.logOut(generation, guest.deviceId), 'ended', 'a log-out needs no proof')
  t.equal(await client.hexists(key, `k:${generation.sid}`), 0, 'the key is removed with the session')
})

t.test('the first key that a refresh proves becomes the key of the session', async t => {
  const { store, key } = await setup(t)
  const { generation } = await store.open(guest)
  const rotated = await store.rotate(generation, guest.deviceId, { jkt: KEY })
  t.match(rotated, { outcome: 'rotated', session: { generation: { gen: 2 }, binding: { jkt: KEY } } })
  t.equal(await client.hget(key, `k:${generation.sid}`), KEY)
  t.same(await store.rotate({ ...generation, gen: 2 }, guest.deviceId), { outcome: 'key_mismatch' })
})

t.test('a session keeps its client, its key and its lifetimes, beside an Idempotency-Key', async t => {
  const { store, key } = await setup(t)
  for (const own of [{}, { idleTtl: 1000, absoluteTtl: 2000 }]) {
    const { generation } = await store.open({ ...guest, clientId: CLIENT, ...own })
    for (const [gen, jkt, idempotencyKey] of [[1, undefined, 'a'], [2, KEY, undefined], [3, KEY, 'b']] as const) {
      const session = { generation: { gen: gen + 1 }, binding: { clientId: CLIENT, ...jkt && { jkt } } }
      const rotation = await store.rotate({ ...generation, gen }, guest.deviceId, { clientId: CLIENT, jkt, idempotencyKey })
      t.match(rotation, { outcome: 'rotated', session })
      const value = (await client.hget(key, `s:${generation.sid}`))!
      t.match(value, new RegExp(`:${idempotencyKey ? hashIdempotencyKey(idempotencyKey) : '-'}!${own.idleTtl ? ':1000:2000' : ''}$`))
      if (!own.idleTtl) t.ok(value.length <= 64, 'the record stays a listpack')
    }
  }
})

t.test('a retry with a proof sets the key too', async t => {
  const { store, key } = await setup(t, { REFRESH_RETRY_WINDOW: '30' })
  const { generation } = await store.open(guest)
  await store.rotate(generation, guest.deviceId)
  t.match(await store.rotate(generation, guest.deviceId, { jkt: KEY }), { outcome: 'retried', session: { binding: { jkt: KEY } } })
  t.equal(await client.hget(key, `k:${generation.sid}`), KEY)
  t.same(await store.rotate({ ...generation, gen: 2 }, guest.deviceId), { outcome: 'key_mismatch' })
})

t.test('a token of a session with a key is retried until its successor is used', async t => {
  const { store } = await setup(t)
  const { generation } = await store.open({ ...guest, jkt: KEY })
  await store.rotate(generation, guest.deviceId, { jkt: KEY })
  t.match(await store.findRefreshable(generation), { session: { gen: 2 }, refreshableUntil: Number }, 'introspection agrees')
  t.match(await store.rotate(generation, guest.deviceId, { jkt: KEY }), { outcome: 'retried', session: { generation: { gen: 2 } } })
  await store.rotate({ ...generation, gen: 2 }, guest.deviceId, { jkt: KEY })
  t.match(await store.rotate(generation, guest.deviceId, { jkt: KEY }), { outcome: 'reused' })
})

t.test('the refresh that finds an expired session of another device reports it beside client and key', async t => {
  const { store, key } = await setup(t)
  const { generation: other } = await store.open({ ...guest, deviceId: 'laptop' })
  const { generation } = await store.open({ ...guest, clientId: CLIENT, jkt: KEY, userClaims: { plan: 'gold' } })
  await client.hset(key, `s:${other.sid}`, '001:1:1:2:-')
  await client.persist(key)
  const rotation = await store.rotate(generation, guest.deviceId, { clientId: CLIENT, jkt: KEY })
  t.match(rotation, { outcome: 'rotated', session: { claims: { plan: 'gold' }, binding: { clientId: CLIENT, jkt: KEY } } })
  t.equal(await client.hexists(key, `s:${other.sid}`), 0)
})
