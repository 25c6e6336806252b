import t, { type Test } from 'tap'
import type { Redis } from 'ioredis'
import type { SessionStore } from '#src/sessions/store'
import { hashDevice, hashIdempotencyKey } from '#src/redis/records'
import { build, guest, startRedis, type PrivateRedis } from '../support/helper.ts'

/**
 * The rotation table of the design, outcome by outcome, and the record after each. Tests simulate passing time by moving the
 * record's times into the past, because they can't set Redis's clock.
 */

let redis: PrivateRedis
let client: Redis
t.before(async () => {
  redis = await startRedis(t)
  client = redis.client
})

interface Setup {
  store: SessionStore
  prefix: string
  key: string
  /** The announcements of ends and changed profiles so far. */
  events: () => Promise<object[]>
  /** Moves all times of a session into the past, as if seconds had passed. */
  pass: (sid: string, seconds: number) => Promise<void>
  record: (sid: string) => Promise<number[]>
}

async function setup (t: Test, overrides: Record<string, string> = {}, userId = guest.userId): Promise<Setup> {
  const service = await build(t, redis, overrides)
  const prefix = service.config.REDIS_PREFIX
  const key = `${prefix}${userId}`
  const subscriber = await redis.subscriber(t, key)
  const messages: object[] = []
  subscriber.on('message', (_channel, text) => {
    if (!text.includes('opened')) messages.push(JSON.parse(text))
  })
  await subscriber.subscribe(`${prefix}events`)
  const record = async (sid: string): Promise<number[]> => (await client.hget(key, `s:${sid}`))!.split(':').slice(0, 4).map(Number)
  return {
    store: service.public.store,
    prefix,
    key,
    record,
    events: async () => {
      await subscriber.ping()
      return messages
    },
    pass: async (sid, seconds) => {
      const [gen, ...times] = await record(sid)
      const rest = (await client.hget(key, `s:${sid}`))!.split(':').slice(4)
      await client.hset(key, `s:${sid}`, [gen, ...times.map(time => time - seconds), ...rest].join(':'))
    }
  }
}

const now = async (): Promise<number> => Number((await client.time())[0])

t.test('open writes the documented record', async t => {
  const { store, key } = await setup(t, { REFRESH_IDLE_TTL: '100', REFRESH_ABSOLUTE_TTL: '1000' })
  const before = await now()
  const { generation, profile } = await store.open({ ...guest, label: 'Pixel 9' })
  const { sid, iat } = generation
  t.match(sid, /^[\w-]{22}$/)
  t.ok(iat >= before && iat <= await now())
  t.match(generation, { id: 1, gen: 1, exp: iat + 100 })
  t.match(profile, { email: guest.email, role: guest.role })
  t.same(await client.hgetall(key), {
    email: guest.email,
    role: guest.role,
    [`s:${sid}`]: `001:${iat}:${iat}:${iat + 100}:${hashDevice(guest.deviceId)}`,
    [`l:${sid}`]: 'Pixel 9'
  })
  t.equal(await client.expiretime(key), iat + 100)
})

t.test('rotated: returns the next generation and restarts the idle time', async t => {
  const { store, key, pass, record } = await setup(t, { REFRESH_IDLE_TTL: '100', REFRESH_ABSOLUTE_TTL: '1000' })
  const { generation: first } = await store.open(guest)
  await pass(first.sid, 50)
  const rotation = await store.rotate(first, guest.deviceId)
  t.match(rotation, { outcome: 'rotated', session: { generation: { id: 1, sid: first.sid, gen: 2 }, profile: { email: guest.email } } })
  const [gen, created, rotated, expires] = await record(first.sid)
  t.same([gen, created], [2, first.iat - 50])
  t.equal(expires, rotated! + 100)
  t.match(rotation, { session: { generation: { iat: rotated, exp: expires }, now: rotated } })
  t.equal(await client.expiretime(key), expires)
})

t.test('open: the expiry never exceeds the absolute lifetime', async t => {
  const { store, record } = await setup(t, { REFRESH_IDLE_TTL: '100', REFRESH_ABSOLUTE_TTL: '50' })
  const { generation } = await store.open(guest)
  const [, created, , expires] = await record(generation.sid)
  t.same([expires, generation.exp], [created! + 50, created! + 50])
})

t.test('the record has the session\'s own lifetimes, and the shorter of own and configured lifetimes holds', async t => {
  const { store, key, pass, record, prefix } = await setup(t, { REFRESH_IDLE_TTL: '1000', REFRESH_ABSOLUTE_TTL: '10000' })
  const cases: Array<[own: { idleTtl?: number, absoluteTtl?: number }, rest: string, opened: number, later: number]> = [
    [{ idleTtl: 100 }, '-:100:-', 100, 10_000],
    [{ absoluteTtl: 120 }, '-:-:120', 120, 120],
    [{ idleTtl: 100, absoluteTtl: 120 }, '-:100:120', 100, 120],
    [{ idleTtl: 3_153_600_000, absoluteTtl: 3_153_600_000 }, '-:3153600000:3153600000', 1000, 10_000]
  ]
  for (const [own, rest, opened, later] of cases) {
    const { generation } = await store.open({ ...guest, ...own })
    const { sid, iat, exp } = generation
    t.equal(exp, iat + opened)
    t.equal(await client.hget(key, `s:${sid}`), `001:${iat}:${iat}:${exp}:${hashDevice(guest.deviceId)}:${rest}`)
    await pass(sid, 50)
    await store.rotate(generation, guest.deviceId, { idempotencyKey: 'a' })
    const [, created, rotated, expires] = await record(sid)
    t.equal(expires, Math.min(created! + later, rotated! + opened), rest)
    t.match(await client.hget(key, `s:${sid}`), `:${hashIdempotencyKey('a')}${rest.slice(1)}`)
    t.match(await store.rotate({ ...generation, gen: 2 }, guest.deviceId), { outcome: 'rotated' })
    t.match(await client.hget(key, `s:${sid}`), new RegExp(`:${rest}$`), 'the lifetimes stay without a key')
  }
  const lowered = await setup(t, { REFRESH_IDLE_TTL: '10', REFRESH_ABSOLUTE_TTL: '10000', REDIS_PREFIX: prefix })
  const { generation } = await store.open({ ...guest, idleTtl: 100 })
  await lowered.store.rotate(generation, guest.deviceId)
  const [, , rotated, expires] = await record(generation.sid)
  t.equal(expires, rotated! + 10, 'never longer than the configured ones')
})

t.test('a session without a device replaces none and can\'t be refreshed', async t => {
  const { store, key } = await setup(t)
  const { deviceId: _, ...login } = guest
  const [one, two] = [await store.open(login), await store.open(login)]
  for (const { generation } of [one, two]) {
    t.match(await client.hget(key, `s:${generation.sid}`), /^001:.*:-$/)
    for (const deviceId of ['-', '', guest.deviceId]) t.match(await store.rotate(generation, deviceId), { outcome: 'device_mismatch' })
  }
  t.equal((await store.list(guest.userId)).length, 2)
})

t.test('rotated: the record is kept for a longer session', async t => {
  const long = await setup(t, { REFRESH_IDLE_TTL: '1000' })
  const short = await setup(t, { REFRESH_IDLE_TTL: '100', REDIS_PREFIX: long.prefix })
  const { generation: other } = await long.store.open({ ...guest, deviceId: 'laptop' })
  const { generation } = await short.store.open(guest)
  await short.store.rotate(generation, guest.deviceId)
  t.equal(await client.expiretime(long.key), other.exp)
})

t.test('rotated: the expiry never exceeds the absolute lifetime', async t => {
  const { store, pass, record } = await setup(t, { REFRESH_IDLE_TTL: '100', REFRESH_ABSOLUTE_TTL: '130' })
  const { generation } = await store.open(guest)
  await pass(generation.sid, 60)
  await store.rotate(generation, guest.deviceId)
  const [, created, , expires] = await record(generation.sid)
  t.equal(expires, created! + 130)
})

t.test('retried: returns the current generation again and changes nothing', async t => {
  const { store, key, pass } = await setup(t)
  const { generation } = await store.open(guest)
  const rotated = await store.rotate(generation, guest.deviceId)
  await pass(generation.sid, 20)
  const before = await client.hgetall(key)
  const retried = await store.rotate(generation, guest.deviceId)
  t.match(retried, { outcome: 'retried', session: { generation: { gen: 2 } } })
  t.same(await client.hgetall(key), before, 'a retry does not extend the window')
  t.match(rotated, { session: { generation: { sid: generation.sid } } })
})

t.test('reused: a used token is reuse from the end of the window', async t => {
  const { store, pass } = await setup(t)
  const { generation } = await store.open(guest)
  await store.rotate(generation, guest.deviceId)
  await pass(generation.sid, 30)
  t.match(await store.rotate(generation, guest.deviceId), { outcome: 'reused' })
})

t.test('retried: with the key of the rotation, however long ago, and the record keeps its hash', async t => {
  const { store, key, pass } = await setup(t, { REFRESH_RETRY_WINDOW: '0' })
  const { generation } = await store.open(guest)
  const rotated = await store.rotate(generation, guest.deviceId, { idempotencyKey: 'a random key' })
  if (!('session' in rotated)) throw new Error('not rotated')
  const { sid, iat, exp } = rotated.session.generation
  t.equal(await client.hget(key, `s:${sid}`), `002:${generation.iat}:${iat}:${exp}:${hashDevice(guest.deviceId)}:${hashIdempotencyKey('a random key')}`)
  t.match(hashIdempotencyKey('a random key'), /^[\w-]{8}$/)
  await pass(sid, 7 * 86_400)
  const before = await client.hgetall(key)
  t.match(await store.rotate(generation, guest.deviceId, { idempotencyKey: 'a random key' }), { outcome: 'retried', session: { generation: { gen: 2 } } })
  t.same(await client.hgetall(key), before)
  t.match(await store.rotate(rotated.session.generation, guest.deviceId), { outcome: 'rotated', session: { generation: { gen: 3 } } })
  t.equal((await client.hget(key, `s:${sid}`))!.split(':').length, 5, 'a rotation without a key clears it')
})

t.test('reused: with another key, or with none', async t => {
  const { store, key } = await setup(t, { REFRESH_RETRY_WINDOW: '0' })
  for (const presented of ['another key', '-', undefined]) {
    const { generation } = await store.open(guest)
    await store.rotate(generation, guest.deviceId, { idempotencyKey: 'a random key' })
    t.match(await store.rotate(generation, guest.deviceId, { idempotencyKey: presented }), { outcome: 'reused' })
  }
  const { generation } = await store.open(guest)
  await store.rotate(generation, guest.deviceId)
  const value = await client.hget(key, `s:${generation.sid}`)
  await client.hset(key, `s:${generation.sid}`, `${value}:-`)
  t.match(await store.rotate(generation, guest.deviceId), { outcome: 'reused' }, 'two missing keys do not match')
})

t.test('reused: a window of zero turns retries off', async t => {
  const { store } = await setup(t, { REFRESH_RETRY_WINDOW: '0' })
  const { generation } = await store.open(guest)
  await store.rotate(generation, guest.deviceId)
  t.match(await store.rotate(generation, guest.deviceId), { outcome: 'reused' })
})

t.test('reused: an older token ends only its own session and is announced', async t => {
  const { store, key, events } = await setup(t)
  const { generation: first } = await store.open({ ...guest, label: 'phone' })
  const { generation: other } = await store.open({ ...guest, deviceId: 'laptop' })
  const second = await store.rotate(first, guest.deviceId)
  if (!('session' in second)) throw new Error('not rotated')
  const third = await store.rotate(second.session.generation, guest.deviceId)
  if (!('session' in third)) throw new Error('not rotated')

  t.match(await store.rotate(first, guest.deviceId), { outcome: 'reused' })
  t.match(await store.rotate(third.session.generation, guest.deviceId), { outcome: 'unknown' }, 'the newest token is rejected too')
  t.match(await store.rotate(other, 'laptop'), { outcome: 'rotated' }, 'the other device\'s session still works')
  t.same(Object.keys(await client.hgetall(key)).sort(), ['email', 'role', `s:${other.sid}`])
  t.same(await events(), [{ type: 'revoked', reason: 'reuse', id: 1, sid: first.sid }])
})

t.test('reused: an expired older token is reuse too', async t => {
  const { store } = await setup(t)
  const { generation } = await store.open(guest)
  const second = await store.rotate(generation, guest.deviceId)
  if ('session' in second) await store.rotate(second.session.generation, guest.deviceId)
  t.match(await store.rotate({ ...generation, exp: 1 }, guest.deviceId), { outcome: 'reused' })
})

t.test('reused: the record is removed with its last session', async t => {
  const { store, key } = await setup(t, { REFRESH_RETRY_WINDOW: '0' })
  const { generation } = await store.open(guest)
  await store.rotate(generation, guest.deviceId)
  await store.rotate(generation, guest.deviceId)
  t.equal(await client.exists(key), 0)
})

t.test('device_mismatch: changes nothing for any generation', async t => {
  const { store, key, events, pass } = await setup(t, { REFRESH_RETRY_WINDOW: '0' })
  const { generation } = await store.open(guest)
  await store.rotate(generation, guest.deviceId)
  const before = await client.hgetall(key)
  for (const gen of [1, 2, 3]) t.match(await store.rotate({ ...generation, gen }, 'another'), { outcome: 'device_mismatch' })
  t.same(await client.hgetall(key), before)
  await pass(generation.sid, 31_536_000)
  t.match(await store.rotate(generation, 'another'), { outcome: 'device_mismatch' }, 'also for an expired session')
  t.same(await events(), [])
})

t.test('rotated: a record without an expiry gets the expiry of its longest session', async t => {
  const { store, key, pass, record } = await setup(t, { REFRESH_IDLE_TTL: '100', REFRESH_ABSOLUTE_TTL: '150' })
  const { generation } = await store.open(guest)
  const { generation: other } = await store.open({ ...guest, deviceId: 'laptop' })
  const { generation: dead } = await store.open({ ...guest, deviceId: 'tablet' })
  await pass(generation.sid, 60)
  await pass(dead.sid, 100)
  await client.persist(key)
  await store.rotate(generation, guest.deviceId)
  t.equal((await record(generation.sid))[3], generation.exp - 10)
  t.equal(await client.expiretime(key), other.exp)
})

t.test('unknown: no such user, no such session', async t => {
  const { store } = await setup(t)
  const { generation } = await store.open(guest)
  t.match(await store.rotate({ ...generation, id: 2 }, guest.deviceId), { outcome: 'unknown' })
  t.match(await store.rotate({ ...generation, sid: 'A'.repeat(22) }, guest.deviceId), { outcome: 'unknown' })
})

t.test('expired: removes and announces the session for any generation', async t => {
  const { store, key, pass, events } = await setup(t, { REFRESH_IDLE_TTL: '100' })
  const { generation } = await store.open(guest)
  const { generation: other } = await store.open({ ...guest, deviceId: 'laptop' })
  await pass(generation.sid, 100)
  t.match(await store.rotate(generation, guest.deviceId), { outcome: 'expired' })
  t.match(await store.rotate(generation, guest.deviceId), { outcome: 'unknown' })
  t.same(await events(), [{ type: 'revoked', reason: 'expired', id: 1, sid: generation.sid }])
  t.equal(await client.expiretime(key), other.exp)
})

t.test('recovered: rotation continues from the signed generation', async t => {
  const { store, record } = await setup(t)
  const { generation } = await store.open(guest)
  t.match(await store.rotate({ ...generation, gen: 9 }, guest.deviceId), { outcome: 'recovered', session: { generation: { gen: 10 } } })
  t.equal((await record(generation.sid))[0], 10)
})

t.test('expired: an expired token ahead of the record is not recovered', async t => {
  const { store } = await setup(t)
  const { generation } = await store.open(guest)
  t.match(await store.rotate({ ...generation, gen: 9, exp: await now() }, guest.deviceId), { outcome: 'expired' })
})

t.test('open: replaces the session and label of the same device', async t => {
  const { store, key, events } = await setup(t)
  const { generation: old } = await store.open({ ...guest, label: 'old' })
  const { generation: renewed } = await store.open({ ...guest, email: 'new@keygenqt.com', role: 'ADMIN' })
  t.match(await store.rotate(old, guest.deviceId), { outcome: 'unknown' })
  t.match(await store.rotate(renewed, guest.deviceId), { outcome: 'rotated', session: { profile: { email: 'new@keygenqt.com', role: 'ADMIN' } } })
  t.same(Object.keys(await client.hgetall(key)).sort(), ['email', 'profileChangedAt', 'role', `s:${renewed.sid}`])
  t.same(await events(), [{ type: 'revoked', reason: 'replaced', id: 1, sid: old.sid }, { type: 'profile', id: 1 }])
})

t.test('open: evicts the least recently used session over the cap', async t => {
  const { store, pass, events } = await setup(t, { MAX_SESSIONS_PER_USER: '3' })
  const opened = []
  for (const deviceId of ['a', 'b', 'c']) opened.push((await store.open({ ...guest, deviceId })).generation)
  const [a, b, c] = opened as [typeof opened[0], typeof opened[0], typeof opened[0]]
  await Promise.all([pass(a.sid, 60), pass(b.sid, 90), pass(c.sid, 30)])
  const { generation: d } = await store.open({ ...guest, deviceId: 'd' })
  t.same(await events(), [{ type: 'revoked', reason: 'evicted', id: 1, sid: b.sid }])
  t.same((await store.list(guest.userId)).map(({ sid }) => sid), [d.sid, c.sid, a.sid], 'the list begins with the most recently used session')
})

t.test('open: evicts sessions of the same second in the order in which they were opened', async t => {
  const { store } = await setup(t, { MAX_SESSIONS_PER_USER: '2' })
  const sids = []
  for (const deviceId of ['a', 'b', 'c', 'd']) sids.push((await store.open({ ...guest, deviceId })).generation.sid)
  t.same((await store.list(guest.userId)).map(({ sid }) => sid).sort(), sids.slice(2).sort())
})

t.test('open: evicts several sessions after the cap was lowered', async t => {
  const wide = await setup(t)
  for (const deviceId of ['a', 'b', 'c', 'd']) await wide.store.open({ ...guest, deviceId })
  const narrow = await setup(t, { MAX_SESSIONS_PER_USER: '2', REDIS_PREFIX: wide.prefix })
  await narrow.store.open({ ...guest, deviceId: 'e' })
  t.equal((await narrow.store.list(guest.userId)).length, 2)
})

t.test('every command that reads all sessions prunes expired ones', async t => {
  const walks: Record<string, (store: SessionStore) => Promise<unknown>> = {
    open: async store => await store.open({ ...guest, deviceId: 'new' }),
    list: async store => await store.list(guest.userId),
    revoke: async store => { await store.revoke(guest.userId, 'A'.repeat(22)) },
    updateProfile: async store => await store.updateProfile(guest.userId, { role: 'ADMIN' }),
    revokeAll: async store => { await store.revokeAll(guest.userId) }
  }
  for (const [name, walk] of Object.entries(walks)) {
    const { store, key, pass, events } = await setup(t, { REFRESH_IDLE_TTL: '100' })
    const { generation } = await store.open({ ...guest, label: 'old' })
    await store.open({ ...guest, deviceId: 'laptop' })
    await pass(generation.sid, 101)
    await client.expire(key, 5000)
    await walk(store)
    t.same(await client.hmget(key, `s:${generation.sid}`, `l:${generation.sid}`), [null, null], name)
    const left = (await client.hvals(key)).map(value => Number(value.split(':')[3])).filter(Number.isFinite)
    // Profile changes and log-outs everywhere keep the record for ten more minutes.
    const remembered = { updateProfile: Math.max(...left), revokeAll: Math.floor(Number(await client.hget(key, 'loggedOutAt'))) }[name]
    t.equal(await client.expiretime(key), remembered === undefined ? Math.max(...left) : remembered + 600, name)
    t.match((await events())[0], { reason: 'expired', sid: generation.sid }, name)
  }
})

t.test('revoke ends one session, announces it once, and is idempotent', async t => {
  const { store, key, events } = await setup(t)
  const { generation } = await store.open({ ...guest, label: 'phone' })
  const { generation: other } = await store.open({ ...guest, deviceId: 'laptop' })
  await store.revoke(guest.userId, generation.sid)
  await store.revoke(guest.userId, generation.sid)
  t.same(Object.keys(await client.hgetall(key)).sort(), ['email', 'role', `s:${other.sid}`])
  await store.revoke(guest.userId, other.sid)
  t.equal(await client.exists(key), 0, 'the record is removed with its last session')
  t.same(await events(), [generation, other].map(({ sid }) => ({ type: 'revoked', reason: 'logout', id: 1, sid })))
})

t.test('revoke announces an expired session as expired', async t => {
  const { store, pass, events } = await setup(t, { REFRESH_IDLE_TTL: '100' })
  const { generation } = await store.open(guest)
  await store.open({ ...guest, deviceId: 'laptop' })
  await pass(generation.sid, 100)
  t.equal(await store.revoke(guest.userId, generation.sid), false)
  t.same(await events(), [{ type: 'revoked', reason: 'expired', id: 1, sid: generation.sid }])
})

t.test('revoke lets the record expire with the last remaining session', async t => {
  const { store, key, pass } = await setup(t, { REFRESH_IDLE_TTL: '100' })
  const { generation: older } = await store.open(guest)
  await pass(older.sid, 40)
  const { generation } = await store.open({ ...guest, deviceId: 'laptop' })
  t.equal(await client.expiretime(key), generation.exp)
  await store.revoke(guest.userId, generation.sid)
  t.equal(await client.expiretime(key), older.exp - 40)
})

t.test('revokeAll ends every session and announces each', async t => {
  const { store, key, events } = await setup(t)
  const { generation: a } = await store.open(guest)
  const { generation: b } = await store.open({ ...guest, deviceId: 'laptop' })
  await store.revokeAll(guest.userId)
  t.same(Object.keys(await client.hgetall(key)), ['loggedOutAt'], 'only the time of the log-out is left')
  t.match(await store.rotate(a, guest.deviceId), { outcome: 'unknown' })
  t.match(await store.rotate({ ...b, gen: 5 }, 'laptop'), { outcome: 'unknown' }, 'a newer generation does not restore the session')
  t.same(new Set(await events()), new Set([a, b].map(({ sid }) => ({ type: 'revoked', reason: 'logout', id: 1, sid }))))
})

t.test('updateProfile changes only the given fields', async t => {
  const { store } = await setup(t)
  t.equal(await store.updateProfile(guest.userId, { role: 'ADMIN' }), false, 'returns false without a session')
  const { generation } = await store.open(guest)
  t.equal(await store.updateProfile(guest.userId, { role: 'ADMIN' }), true)
  t.equal(await store.updateProfile(guest.userId, { email: 'new@keygenqt.com' }), true)
  t.match(await store.rotate(generation, guest.deviceId), { session: { profile: { email: 'new@keygenqt.com', role: 'ADMIN' } } })
})

t.test('announces a changed profile, but not an unchanged one', async t => {
  const userId = Number.MAX_SAFE_INTEGER
  const { store, events } = await setup(t, {}, userId)
  await store.updateProfile(userId, { role: 'ADMIN' })
  await store.open({ ...guest, userId })
  await store.open({ ...guest, userId, deviceId: 'laptop' })
  await store.updateProfile(userId, { email: guest.email, role: guest.role })
  t.same(await events(), [], 'no announcement without a session, for the first session and for an unchanged profile')

  const changes: Array<() => Promise<unknown>> = [
    async () => await store.updateProfile(userId, { role: 'ADMIN' }),
    async () => await store.updateProfile(userId, { email: 'new@keygenqt.com' }),
    async () => await store.open({ ...guest, userId, deviceId: 'phone', email: 'new@keygenqt.com' }),
    async () => await store.open({ ...guest, userId, deviceId: 'watch' })
  ]
  for (const [i, change] of changes.entries()) {
    await change()
    t.same(await events(), Array(i + 1).fill({ type: 'profile', id: userId }))
  }
})

t.test('removes unreadable fields, and rejects with an error if the session itself is unreadable', async t => {
  const { store, key } = await setup(t)
  const { generation } = await store.open(guest)
  await client.hset(key, 's:garbage', 'x')
  t.equal((await store.list(guest.userId)).length, 1)
  t.equal(await client.hexists(key, 's:garbage'), 0)
  await client.hset(key, 's:garbage', 'x')
  await client.hset(key, `s:${generation.sid}`, 'x')
  await t.rejects(store.rotate(generation, guest.deviceId), { code: 'RTS_STORE_UNAVAILABLE', message: /damaged/ })
  await store.revokeAll(guest.userId)
  t.same(Object.keys(await client.hgetall(key)), ['loggedOutAt'], 'a log-out works on a damaged record')

  const { generation: next } = await store.open(guest)
  await client.hdel(key, 'email')
  await t.rejects(store.rotate(next, guest.deviceId), { code: 'RTS_STORE_UNAVAILABLE', message: /damaged/ })
})

t.test('Lua keeps the largest user id exact', async t => {
  const userId = Number.MAX_SAFE_INTEGER
  const { store, prefix, events } = await setup(t, {}, userId)
  const { generation } = await store.open({ ...guest, userId })
  t.match(await store.rotate(generation, guest.deviceId), { outcome: 'rotated', session: { generation: { id: userId } } })
  t.equal(await client.exists(`${prefix}9007199254740991`), 1)
  await store.revokeAll(userId)
  t.same(await events(), [{ type: 'revoked', reason: 'logout', id: userId, sid: generation.sid }])
})

t.test('fifty sessions with labels stay a listpack, and every key expires', async t => {
  const { store, key, prefix } = await setup(t)
  for (let i = 0; i < 51; i++) {
    const { generation } = await store.open({ ...guest, deviceId: `device ${i}`, label: 'x'.repeat(48) })
    await store.rotate({ ...generation, gen: 4_000_000_000 }, `device ${i}`)
  }
  t.equal((await store.list(guest.userId)).length, 50)
  t.equal(await client.object('ENCODING', key), 'listpack')
  for (const value of await client.hvals(key)) t.ok(Buffer.byteLength(value) <= 64)
  for (const { client } of await redis.masters()) {
    for (const key of await client.keys(`${prefix}*`)) t.ok(await client.ttl(key) > 0)
  }
})
