import t from 'tap'
import { apiKey, build, claimsOf, guest, startRedis, type PrivateRedis, type Service } from '../support/helper.ts'

/** Claims that the login service gives to users and sessions: in access tokens, in introspection, and nowhere else. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

const userClaims = { plan: 'gold', tags: ['a', { b: null }] }
const sessionClaims = { auth_time: 1_700_000_000, amr: ['pwd', 'otp'], scope: 'read write' }

const introspect = async ({ internal }: Service, token: string, hint = ''): Promise<string> => (await internal.inject({
  method: 'POST',
  url: '/internal/introspect',
  headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/x-www-form-urlencoded' },
  payload: `token=${token}&token_type_hint=${hint}`
})).body

const record = async ({ config }: Service): Promise<Record<string, string>> => await redis.client.hgetall(`${config.REDIS_PREFIX}1`)

t.test('access tokens have the registered claims, then those of the user, then those of the session', async t => {
  const service = await build(t, redis)
  const { token, refreshToken, ...rest } = await service.open({ userClaims, sessionClaims: { ...sessionClaims, plan: 'trial' } })
  t.same(Object.keys(rest), ['id', 'email', 'role'])
  const { iat, exp, sid } = claimsOf(token)
  const own = { sub: 'Authentication', iss: 'ktor.io', id: 1, sid, iat, exp }
  t.equal(JSON.stringify(claimsOf(token)), JSON.stringify({ ...own, plan: 'trial', tags: userClaims.tags, ...sessionClaims }))
  t.same(Object.keys(claimsOf(refreshToken)), ['sub', 'iss', 'id', 'sid', 'gen', 'iat', 'exp'], 'the refresh token has none')
  for (let i = 0; i < 2; i++) {
    const { token } = (await service.refresh(refreshToken)).json()
    t.match(claimsOf(token), { ...userClaims, ...sessionClaims, plan: 'trial' }, i === 0 ? 'rotated' : 'retried')
  }
  t.equal((await service.internal.inject({ url: '/internal/verify', headers: { 'x-internal-api-key': apiKey, authorization: `Bearer ${token}` } })).statusCode, 204)
})

t.test('the record has them in JSON while they are used', async t => {
  const service = await build(t, redis)
  const { refreshToken } = await service.open({ userClaims, sessionClaims })
  const { sid } = claimsOf(refreshToken)
  t.match(await record(service), { c: JSON.stringify(userClaims), [`c:${sid}`]: JSON.stringify(sessionClaims) })
  const laptop = await service.open({ deviceId: 'laptop' })
  t.match(claimsOf(laptop.token), userClaims, 'an opening without claims keeps those of the user')
  await service.call('DELETE', `/internal/users/1/sessions/${sid}`)
  t.same(Object.keys(await record(service)).sort(), ['c', 'email', 'role', `s:${claimsOf(laptop.token).sid}`])
  await service.call('DELETE', `/internal/users/1/sessions/${claimsOf(laptop.token).sid}`)
  t.same(await record(service), {})
  await service.open()
  t.same(Object.keys(await record(service)).length, 3, 'no field without claims')
})

t.test('PATCH replaces the claims of the user, and the next refresh carries them', async t => {
  const service = await build(t, redis)
  const { refreshToken } = await service.open({ userClaims, sessionClaims })
  const subscriber = await redis.subscriber(t, `${service.config.REDIS_PREFIX}1`)
  const events: string[] = []
  subscriber.on('message', (_channel, text) => { events.push(text) })
  await subscriber.subscribe(`${service.config.REDIS_PREFIX}events`)
  let last = refreshToken
  for (const userClaims of [{ plan: 'iron' }, {}, { plan: 'gold' }]) {
    t.equal((await service.call('PATCH', '/internal/users/1', { userClaims })).statusCode, 204)
    const refreshed = (await service.refresh(last)).json()
    last = refreshed.refreshToken
    const { sub, iss, id, sid, iat, exp, ...others } = claimsOf(refreshed.token) as unknown as Record<string, unknown>
    t.same(others, { ...userClaims, ...sessionClaims })
    t.equal(refreshed.role, guest.role)
  }
  await service.call('PATCH', '/internal/users/1', { userClaims: { plan: 'gold' } })
  await subscriber.ping()
  t.same(events, Array(3).fill('{"type":"profile","id":1}'), 'the same claims again are no change')
  t.equal((await service.call('PATCH', '/internal/users/2', { userClaims: {} })).statusCode, 404)
})

t.test('a log-in under way does not undo a change of the claims', async t => {
  const service = await build(t, redis)
  const authenticatedAt = Date.now() / 1000 - 5
  await service.open()
  await service.call('PATCH', '/internal/users/1', { userClaims: {} })
  t.notMatch(claimsOf((await service.open({ userClaims, authenticatedAt })).token), { plan: 'gold' })
  t.match(claimsOf((await service.open({ userClaims })).token), { plan: 'gold' })
})

t.test('introspection returns the claims of the record, and none replaces a member of its own', async t => {
  const service = await build(t, redis)
  const wrong = { active: false, username: 'x', role: 'ADMIN', token_type: 'x', token_use: 'x' }
  const { token, refreshToken } = await service.open({ userClaims: { ...userClaims, ...wrong }, sessionClaims })
  const own = { active: true, sub: '1', username: guest.email, iss: 'ktor.io', id: 1, role: guest.role }
  t.match(JSON.parse(await introspect(service, token)), { ...userClaims, ...sessionClaims, ...own, token_type: 'Bearer', token_use: 'access' })
  t.match(JSON.parse(await introspect(service, refreshToken, 'refresh_token')), { ...userClaims, ...sessionClaims, ...own, token_use: 'refresh' })
  await service.call('PATCH', '/internal/users/1', { userClaims: { plan: 'iron' } })
  t.match(JSON.parse(await introspect(service, token)), { plan: 'iron', ...own })
  t.equal(await introspect(service, 'x'), '{"active":false}')
})

t.test('ACCESS_TOKEN_CLAIMS adds the fields of the profile, which no other claim replaces', async t => {
  for (const [names, expected] of [['email', { email: guest.email }], ['role, email', { role: 'GUEST', email: guest.email }]] as const) {
    const service = await build(t, redis, { ACCESS_TOKEN_CLAIMS: names })
    const { token, refreshToken } = await service.open({ userClaims: { email: 'x', plan: 'gold' }, sessionClaims: { role: 'ADMIN' } })
    const { sub, iss, id, sid, iat, exp, ...others } = claimsOf(token) as unknown as Record<string, unknown>
    t.same(others, { role: 'ADMIN', plan: 'gold', ...expected }, names)
    t.same(Object.keys(claimsOf(token)).slice(6, 6 + Object.keys(expected).length), Object.keys(expected))
    await service.call('PATCH', '/internal/users/1', { email: 'new@keygenqt.com' })
    t.match(claimsOf((await service.refresh(refreshToken)).json().token), { email: 'new@keygenqt.com' })
  }
})

t.test('rejects wrong claims with the name of the field, and changes nothing', async t => {
  const service = await build(t, redis)
  await service.open({ userClaims })
  const before = await record(service)
  const wrong: Array<[value: unknown, message: string]> = [
    [null, 'must be object'], ['x', 'must be object'], [[], 'must be object'], [1, 'must be object'],
    [{ exp: 1 }, 'must not contain the reserved name exp'],
    [{ iss: 'x', sub: 'x' }, 'must not contain the reserved names iss, sub'],
    [{ a: 'x'.repeat(1024) }, 'must be at most 1024 bytes of JSON'],
    [{ a: 'é'.repeat(510) }, 'must be at most 1024 bytes of JSON'],
    [{ a: [[[[[1]]]]] }, 'must be at most 5 levels deep']
  ]
  for (const [value, message] of wrong) {
    const answer = { code: 400, message: '' }
    for (const name of ['userClaims', 'sessionClaims']) {
      answer.message = `Bad Request: body/${name} ${message}`
      t.same((await service.call('POST', '/internal/sessions', { ...guest, deviceId: 'laptop', [name]: value })).json(), answer, message)
    }
    answer.message = `Bad Request: body/userClaims ${message}`
    t.same((await service.call('PATCH', '/internal/users/1', { userClaims: value })).json(), answer, message)
  }
  t.same(await record(service), before)
})

t.test('damaged claims are a 500 for their session alone', async t => {
  const service = await build(t, redis)
  const { token, refreshToken } = await service.open({ sessionClaims })
  const other = await service.open({ userId: 2, userClaims })
  await redis.client.hset(`${service.config.REDIS_PREFIX}1`, `c:${claimsOf(token).sid}`, '{"a')
  const [broken, good] = await Promise.all([service.refresh(refreshToken), service.refresh(other.refreshToken)])
  t.match(broken, { statusCode: 500, body: '{"code":500,"message":"Internal Error"}' })
  t.equal(good.statusCode, 200)
  t.match(JSON.parse(await introspect(service, token)), { code: 500 })
  t.notMatch(JSON.stringify(service.log), '{\\"a', 'no log line quotes them')
})
