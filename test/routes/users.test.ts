import t, { type Test } from 'tap'
import { hashDevice } from '#src/redis/records'
import { build, claimsOf, guest, startRedis, type PrivateRedis, type Service, type TokensBody } from '../support/helper.ts'

/** Everything stored about a user: read, erased, and ended but for one session. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

interface Setup extends Service {
  key: string
  /** The announcements of ends and changed profiles so far. */
  events (): Promise<object[]>
}

async function setup (t: Test): Promise<Setup> {
  const service = await build(t, redis)
  const key = `${service.config.REDIS_PREFIX}1`
  const subscriber = await redis.subscriber(t, key)
  const messages: object[] = []
  subscriber.on('message', (_channel, text) => {
    if (!text.includes('opened')) messages.push(JSON.parse(text))
  })
  await subscriber.subscribe(`${service.config.REDIS_PREFIX}events`)
  const events = async (): Promise<object[]> => {
    await subscriber.ping()
    return messages
  }
  return { ...service, key, events }
}

const sidOf = ({ refreshToken }: TokensBody): string => claimsOf(refreshToken).sid

const user = '/internal/users/1'
const sessions = `${user}/sessions`

t.test('reads everything that is stored about a user', async t => {
  const { open, call, key } = await setup(t)
  const missing = await call('GET', user)
  t.equal(missing.statusCode, 404)
  t.equal(missing.body, '{"code":404,"message":"Not Found"}')

  const phone = await open({ label: 'Pixel 9' })
  await open({ deviceId: 'laptop' })
  await call('PATCH', user, { role: 'ADMIN' })
  const response = await call('GET', user)
  t.equal(response.statusCode, 200)
  const { sessions: list, ...rest } = response.json()
  t.same(list, (await call('GET', sessions)).json().sessions)
  const record = await redis.client.hgetall(key)
  const changedAt = new Date(Math.round(Number(record.profileChangedAt) * 1000)).toISOString()
  t.same(rest, { userId: 1, email: guest.email, role: 'ADMIN', loggedOutAt: null, profileChangedAt: changedAt, record })
  t.same(Object.keys(record).length, 6)
  t.match(record[`s:${sidOf(phone)}`], new RegExp(`:${hashDevice(guest.deviceId)}$`))
  t.same(response.headers['cache-control'], 'no-store')
})

t.test('reads what a user without a session has: the times and the profile that are remembered', async t => {
  const { open, call, key } = await setup(t)
  await open()
  await call('DELETE', sessions)
  t.match((await call('GET', user)).json(), { userId: 1, email: null, role: null, loggedOutAt: /^2.*Z$/, profileChangedAt: null, sessions: [], record: { loggedOutAt: /\.\d{3}$/ } })
  await call('PATCH', user, { role: 'ADMIN' })
  t.match((await call('GET', user)).json(), { email: null, role: 'ADMIN', profileChangedAt: /^2.*Z$/ })

  await open()
  await redis.client.hset(key, 'loggedOutAt', '1e99', 'profileChangedAt', '', 'later', 'a field of a later version')
  t.match((await call('GET', user)).json(), { loggedOutAt: null, profileChangedAt: null, record: { loggedOutAt: '1e99', later: 'a field of a later version' } })
})

t.test('erases everything that is stored about a user, and announces the end of each session', async t => {
  const { open, refresh, call, key, events } = await setup(t)
  await call('PATCH', user, { role: 'USER' })
  const both = [await open({ label: 'Pixel 9' }), await open({ deviceId: 'laptop' })]
  const other = await open({ userId: 2 })
  for (let i = 0; i < 2; i++) {
    const response = await call('DELETE', `${user}?erase`)
    t.equal(response.statusCode, 204)
    t.equal(response.body, '')
    t.equal(await redis.client.exists(key), 0)
  }
  t.same(new Set(await events()), new Set(both.map(session => ({ type: 'revoked', reason: 'logout', id: 1, sid: sidOf(session) }))))
  t.equal((await call('GET', user)).statusCode, 404)
  t.equal((await refresh(both[0]!.refreshToken)).statusCode, 400)
  t.equal((await refresh(other.refreshToken)).statusCode, 200)
})

t.test('an erasure remembers no log-out: a log-in under way opens its session', async t => {
  const { call } = await setup(t)
  const authenticatedAt = Date.now() / 1000 - 1
  await call('DELETE', sessions)
  t.equal((await call('POST', '/internal/sessions', { ...guest, authenticatedAt })).statusCode, 409)
  await call('DELETE', `${user}?erase=true`)
  t.equal((await call('POST', '/internal/sessions', { ...guest, authenticatedAt })).statusCode, 201)
})

t.test('an erasure must be confirmed', async t => {
  const { open, call } = await setup(t)
  await open()
  t.same((await call('DELETE', user)).json(), { code: 400, message: 'Bad Request: querystring must have required property \'erase\'' })
  for (const query of ['?', '?erase=false', '?erase=0', '?erase=yes', '?Erase', '?erase&erase']) {
    const response = await call('DELETE', `${user}${query}`)
    t.equal(response.statusCode, 400, query)
    t.match(response.json().message, /^Bad Request: querystring.*erase/, query)
  }
  t.equal((await call('DELETE', '/internal/users/0?erase')).statusCode, 400)
  t.equal((await call('GET', sessions)).json().sessions.length, 1)
})

t.test('logs out everywhere else', async t => {
  const { open, refresh, call, key, events } = await setup(t)
  const kept = await open({ label: 'Pixel 9' })
  const ended = [await open({ deviceId: 'laptop', label: 'Laptop' }), await open({ deviceId: 'tablet' })]
  const authenticatedAt = Date.now() / 1000 - 1
  for (let i = 0; i < 2; i++) {
    const response = await call('DELETE', `${sessions}?except=${sidOf(kept)}`)
    t.equal(response.statusCode, 204)
    t.equal(response.body, '')
  }
  t.same(new Set(await events()), new Set(ended.map(session => ({ type: 'revoked', reason: 'logout', id: 1, sid: sidOf(session) }))))
  t.same((await redis.client.hkeys(key)).sort(), ['email', `l:${sidOf(kept)}`, 'loggedOutAt', 'role', `s:${sidOf(kept)}`])
  t.equal(await redis.client.expiretime(key), claimsOf(kept.refreshToken).exp + 600)
  for (const deviceId of [guest.deviceId, 'laptop']) {
    t.equal((await call('POST', '/internal/sessions', { ...guest, deviceId, authenticatedAt })).statusCode, 409, 'a log-in under way is refused')
  }
  t.equal((await refresh(ended[0]!.refreshToken, 'laptop')).statusCode, 400)
  t.match((await refresh(kept.refreshToken)).json(), { email: guest.email, role: guest.role })
})

t.test('logs out everywhere if the session to keep has ended, or is another user\'s', async t => {
  for (const except of ['A'.repeat(22), 'of another user', 'ended']) {
    const { open, call, key } = await setup(t)
    const ended = await open()
    await call('DELETE', `${sessions}/${sidOf(ended)}`)
    const session = await open({ deviceId: 'laptop' })
    const other = await open({ userId: 2 })
    const sid = { ended: sidOf(ended), 'of another user': sidOf(other) }[except] ?? except
    t.equal((await call('DELETE', `${sessions}?except=${sid}`)).statusCode, 204)
    t.same(await redis.client.hkeys(key), ['loggedOutAt'], except)
    t.notSame(sidOf(session), sid)
    t.equal((await call('GET', '/internal/users/2/sessions')).json().sessions.length, 1)
  }
})

t.test('a malformed session to keep is refused by name, and nothing ends', async t => {
  const { open, call } = await setup(t)
  const sid = sidOf(await open())
  for (const except of ['', 'x', 'A'.repeat(21), 'A'.repeat(23), `${sid}%20`, `${sid}&except=${sid}`, 'true']) {
    const response = await call('DELETE', `${sessions}?except=${except}`)
    t.equal(response.statusCode, 400, except)
    t.match(response.json().message, /^Bad Request: querystring\/except must /, except)
  }
  t.equal((await call('GET', sessions)).json().sessions.length, 1)
})
