import t, { type Test } from 'tap'
import type { Redis } from 'ioredis'
import { build, claimsOf, guest, startRedis, type PrivateRedis, type Service } from '../support/helper.ts'

/** A log-out everywhere, or a change of the profile, between a log-in's check of the password and the opening of its session. */

let redis: PrivateRedis
let client: Redis
t.before(async () => {
  redis = await startRedis(t)
  client = redis.client
})

interface Setup extends Service {
  key: string
  /** Opens a session; returns the status and the body. */
  login (authenticatedAt?: unknown, overrides?: object): Promise<{ status: number, body: any }>
  logOutEverywhere (): Promise<void>
  /** Changes the profile; returns the status. */
  patch (profile: object): Promise<number>
  /** Whether the key expires `seconds` after `act`. */
  isDated (seconds: number, act: () => Promise<unknown>): Promise<boolean>
  /** Moves the remembered times and the key's expiry back by `seconds`. */
  pass (seconds: number): Promise<void>
}

async function setup (t: Test, overrides: Record<string, string> = {}): Promise<Setup> {
  const service = await build(t, redis, overrides)
  const key = `${service.config.REDIS_PREFIX}${guest.userId}`
  const user = `/internal/users/${guest.userId}`
  return {
    ...service,
    key,
    async login (authenticatedAt, overrides) {
      const response = await service.call('POST', '/internal/sessions', { ...guest, ...overrides, authenticatedAt })
      return { status: response.statusCode, body: response.json() }
    },
    async logOutEverywhere () {
      t.equal((await service.call('DELETE', `${user}/sessions`)).statusCode, 204)
    },
    patch: async profile => (await service.call('PATCH', user, profile)).statusCode,
    async isDated (seconds, act) {
      const before = await redisNow()
      await act()
      const date = await client.expiretime(key)
      return date >= before + seconds && date <= await redisNow() + seconds
    },
    async pass (seconds) {
      for (const name of ['loggedOutAt', 'profileChangedAt']) {
        const value = await client.hget(key, name)
        if (value !== null) await client.hset(key, name, (Number(value) - seconds).toFixed(3))
      }
      await client.expireat(key, await client.expiretime(key) - seconds)
    }
  }
}

/** The login service's clock, seconds. Here it is also Redis's clock, because both run on this machine. */
const now = (): number => Date.now() / 1000

const redisNow = async (): Promise<number> => Number((await client.time())[0])

/** Resolves in a later millisecond, so that the next call is later by every clock. */
async function later (): Promise<number> {
  const before = Date.now()
  while (Date.now() === before) await new Promise(resolve => setImmediate(resolve))
  return now()
}

t.test('a log-out everywhere rejects a log-in under way, also a user\'s first', async t => {
  for (const first of [true, false]) {
    const { login, logOutEverywhere, call, key } = await setup(t)
    if (!first) await login()
    const authenticatedAt = now()
    await later()
    await logOutEverywhere()
    t.same(await login(authenticatedAt), { status: 409, body: { code: 409, message: 'Conflict' } })
    const loggedOutAt = Number(await client.hget(key, 'loggedOutAt'))
    t.equal((await login(Math.ceil(loggedOutAt) - 1)).status, 409, 'a whole second counts as the start of that second')
    t.same((await call('GET', '/internal/users/1/sessions')).json(), { sessions: [] })
    t.same(Object.keys(await client.hgetall(key)), ['loggedOutAt'], 'a refusal writes nothing')
    t.equal((await login(await later())).status, 201, 'a log-in that began after the log-out opens a session')
    t.equal((await login(authenticatedAt)).status, 409, 'the earlier log-in is still rejected while a session exists')
    t.equal((await login()).status, 201, 'without authenticatedAt nothing is compared')
  }
})

t.test('a log-in under way does not undo a demotion', async t => {
  const { login, patch, refresh } = await setup(t)
  await login(undefined, { role: 'ADMIN' })
  const authenticatedAt = now()
  await later()
  t.equal(await patch({ role: 'USER' }), 204)
  const { status, body } = await login(authenticatedAt, { role: 'ADMIN', email: 'old@keygenqt.com', deviceId: 'laptop' })
  t.same([status, body.role, body.email], [201, 'USER', guest.email], 'the answer is the record\'s profile')
  t.match((await refresh(body.refreshToken, 'laptop')).json(), { role: 'USER', email: guest.email })
  t.match(await login(await later(), { role: 'ADMIN' }), { status: 201, body: { role: 'ADMIN' } }, 'a later log-in sets the profile')
  t.match(await login(authenticatedAt, { role: 'USER' }), { status: 201, body: { role: 'ADMIN' } }, 'its profile change is dated by authenticatedAt')
})

t.test('a log-in under way does not undo a demotion to the current role', async t => {
  const { login, patch } = await setup(t)
  await login(undefined, { role: 'USER' })
  const authenticatedAt = now()
  await later()
  await patch({ role: 'USER' })
  t.match(await login(authenticatedAt, { role: 'ADMIN' }), { status: 201, body: { role: 'USER' } })
})

t.test('a demotion of a user without a session answers 404, but a log-in under way does not undo it', async t => {
  const { login, patch, key, isDated } = await setup(t)
  const authenticatedAt = now()
  await later()
  t.ok(await isDated(600, async () => t.equal(await patch({ role: 'USER' }), 404)))
  t.same(Object.keys(await client.hgetall(key)).sort(), ['profileChangedAt', 'role'])
  t.equal(await patch({ role: 'GUEST' }), 404)
  const { status, body } = await login(authenticatedAt, { role: 'ADMIN', email: 'new@keygenqt.com' })
  t.same([status, body.role, body.email], [201, 'GUEST', 'new@keygenqt.com'], 'the given field is kept, the others come from the log-in')
})

t.test('remembered times last ten minutes, or as long as the last session', async t => {
  const { login, logOutEverywhere, patch, call, isDated, pass, key } = await setup(t, { REFRESH_IDLE_TTL: '1000' })
  const end = async ({ refreshToken }: { refreshToken: string }): Promise<unknown> =>
    await call('DELETE', `/internal/users/1/sessions/${claimsOf(refreshToken).sid}`)

  const { body: phone } = await login(now())
  t.equal(await client.expiretime(key), claimsOf(phone.refreshToken).exp, 'a record without a remembered time expires with its session')
  await patch({ role: 'USER' })
  t.equal(await client.expiretime(key), claimsOf(phone.refreshToken).exp + 600)
  const { body: laptop } = await login(now(), { deviceId: 'laptop' })
  t.equal(await client.expiretime(key), claimsOf(laptop.refreshToken).exp + 600)
  await end(laptop)
  t.ok(await isDated(600, async () => await end(phone)), 'the record expires ten minutes after its last session ended')

  await pass(300)
  const date = await client.expiretime(key)
  for (let i = 0; i < 2; i++) await call('GET', '/internal/users/1/sessions')
  t.equal(await client.expiretime(key), date, 'reading does not extend the expiry')
  t.ok(await isDated(600, logOutEverywhere))
  await pass(500)
  t.equal((await login(now() - 550)).status, 409)
  const { body: next } = await login(now())
  t.equal(await client.expiretime(key), claimsOf(next.refreshToken).exp + 600, 'the time is kept while a session exists')
  await pass(101)
  await end(next)
  t.equal(await client.exists(key), 0, 'a time older than ten minutes is removed with the last session')
})

t.test('the log-out and the profile change are forgotten independently', async t => {
  const { logOutEverywhere, patch, call, pass, key } = await setup(t)
  const fields = async (): Promise<string[]> => {
    await call('GET', '/internal/users/1/sessions')
    return (await client.hkeys(key)).sort()
  }
  await logOutEverywhere()
  await pass(400)
  await patch({ role: 'USER' })
  t.same(await fields(), ['loggedOutAt', 'profileChangedAt', 'role'])
  await pass(201)
  t.same(await fields(), ['profileChangedAt', 'role'], 'a log-out 601 seconds ago is forgotten')
  await client.hset(key, 'loggedOutAt', await redisNow() + 390)
  await client.expire(key, 900)
  await pass(400)
  t.same(await fields(), ['loggedOutAt'], 'a profile change 601 seconds ago is forgotten')
})

t.test('a session opened after a log-out everywhere gets no earlier label or profile', async t => {
  const { login, logOutEverywhere, patch, key } = await setup(t)
  const { body } = await login(now(), { label: 'Pixel 9' })
  await patch({ email: 'old@keygenqt.com' })
  await logOutEverywhere()
  const next = await login(await later(), { email: 'new@keygenqt.com', role: 'USER' })
  t.match(next.body, { email: 'new@keygenqt.com', role: 'USER' })
  t.same(Object.keys(await client.hgetall(key)).sort(), ['email', 'loggedOutAt', 'role', `s:${claimsOf(next.body.refreshToken).sid}`])
  t.not(claimsOf(next.body.refreshToken).sid, claimsOf(body.refreshToken).sid)
})

t.test('a record without a log-out everywhere or a profile change holds no times', async t => {
  const { login, key, refresh } = await setup(t)
  const { body } = await login(now())
  const { body: other } = await login(now(), { deviceId: 'laptop' })
  const { refreshToken } = (await refresh(body.refreshToken)).json()
  t.same((await client.hkeys(key)).filter(field => !field.startsWith('s:')).sort(), ['email', 'role'])
  t.equal(await client.expiretime(key), Math.max(...[refreshToken, other.refreshToken].map(token => claimsOf(token).exp)))
})

t.test('rejects an invalid authenticatedAt and names the field', async t => {
  const { login, call } = await setup(t)
  for (const nonsense of ['1', -1, null, true, {}, [1], Date.now(), now() + 70]) {
    const { status, body } = await login(nonsense)
    t.same([status, body.code], [400, 400], JSON.stringify(nonsense))
    t.match(body.message, /^Bad Request: body\/authenticatedAt must be /)
  }
  for (const good of [0, 1, 1e-7, 1_700_000_000.5, now() + 50]) t.equal((await login(good)).status, 201, String(good))
  t.equal((await call('GET', '/internal/users/1/sessions')).json().sessions.length, 1)
})

t.test('no earlier session is left after log-outs that race with log-ins', async t => {
  const { login, logOutEverywhere, call } = await setup(t)
  let refused = 0
  for (let i = 0; i < 20; i++) {
    const authenticatedAt = now()
    await later()
    const attempts = Array.from({ length: 5 }, async (_, j) => await login(authenticatedAt, { deviceId: `device ${j}` }))
    for (let turns = 0; turns < i; turns++) await new Promise(resolve => setImmediate(resolve))
    const [answers] = await Promise.all([Promise.all(attempts), logOutEverywhere()])
    refused += answers.filter(({ status }) => status === 409).length
    t.ok(answers.every(({ status }) => status === 201 || status === 409))
    t.same((await call('GET', '/internal/users/1/sessions')).json(), { sessions: [] })
    t.equal((await login(authenticatedAt)).status, 409)
  }
  t.comment(`${refused} of 100 log-ins came after the log-out`)
})

t.test('a refused log-in does not count as an opened session', async t => {
  const { login, logOutEverywhere, metrics: { registry }, patch } = await setup(t)
  const opened = async (): Promise<string> => /^rts_sessions_opened_total (\d+)/m.exec(await registry.metrics())![1]!
  const authenticatedAt = now()
  await later()
  await logOutEverywhere()
  await login(authenticatedAt)
  await login(Date.now())
  await patch({ role: 'USER' })
  t.equal(await opened(), '0')
})

t.test('ignores a remembered time that is not a number', async t => {
  const { login, key, logOutEverywhere } = await setup(t)
  await login(now())
  await client.hset(key, 'loggedOutAt', 'x', 'profileChangedAt', '')
  t.equal((await login(1)).status, 201)
  await logOutEverywhere()
  t.equal((await login(1)).status, 409)
})
