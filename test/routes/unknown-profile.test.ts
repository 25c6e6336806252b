import t from 'tap'
import { apiKey, build, claimsOf, guest, privateKey, startRedis, type PrivateRedis, type Service, type TokensBody } from '../support/helper.ts'

/** Sessions of users whose e-mail address or role the login service does not give. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

const { userId, deviceId, email, role } = guest

const profileOf = ({ email, role }: { email?: unknown, role?: unknown }): object => ({ email, role })

/** Opens a session with these fields alone, and returns the answer. */
async function open ({ call }: Service, fields: object = {}): Promise<TokensBody> {
  const { statusCode, body } = await call('POST', '/internal/sessions', { userId, deviceId, ...fields })
  if (statusCode !== 201) throw new Error(`open: ${statusCode} ${body}`)
  return JSON.parse(body)
}

const record = async ({ config }: Service): Promise<Record<string, string>> => await redis.client.hgetall(`${config.REDIS_PREFIX}${userId}`)

const introspect = async ({ internal }: Service, token: string): Promise<object> => (await internal.inject({
  method: 'POST',
  url: '/internal/introspect',
  headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/x-www-form-urlencoded' },
  payload: `token=${token}`
})).json()

const verify = async ({ internal }: Service, token: string) =>
  await internal.inject({ url: '/internal/verify', headers: { 'x-internal-api-key': apiKey, authorization: `Bearer ${token}` } })

t.test('answers have an empty text for a field that was never given, and so has the record', async t => {
  const service = await build(t, redis)
  const cases: Array<[given: object, known: { email: string, role: string }]> = [
    [{}, { email: '', role: '' }], [{ email }, { email, role: '' }], [{ role }, { email: '', role }], [{ email, role }, { email, role }]
  ]
  for (const [given, known] of cases) {
    const { token, refreshToken, ...opened } = await open(service, given)
    t.same(opened, { id: userId, ...known })
    const refreshed = (await service.refresh(refreshToken)).json()
    t.same(Object.keys(refreshed), ['id', 'email', 'role', 'token', 'refreshToken'])
    t.same(profileOf(refreshed), known, 'the refresh')
    const stored = await record(service)
    t.same(Object.keys(stored).sort(), ['email', 'role', `s:${claimsOf(token).sid}`])
    t.same(profileOf(stored), known, 'the record')
    t.same(profileOf((await service.call('GET', `/internal/users/${userId}`)).json()), known, 'the data of the user')
    await service.call('DELETE', `/internal/users/${userId}?erase`)
  }
})

t.test('an opening without a field keeps the one that the record has', async t => {
  const service = await build(t, redis)
  await service.open({ deviceId: 'laptop' })
  t.same(profileOf(await open(service)), { email, role })
  t.same(profileOf(await open(service, { role: 'ADMIN' })), { email, role: 'ADMIN' })
  t.same(profileOf(await open(service, { email: 'new@keygenqt.com' })), { email: 'new@keygenqt.com', role: 'ADMIN' })
  await service.call('DELETE', `/internal/users/${userId}/sessions`)
  t.same(profileOf(await open(service)), { email: '', role: '' }, 'a user without a session has no profile')
})

t.test('PATCH and a later opening give an unknown field, and tell subscribers', async t => {
  const service = await build(t, redis)
  const subscriber = await redis.subscriber(t, `${service.config.REDIS_PREFIX}1`)
  const events: string[] = []
  subscriber.on('message', (_channel, text) => { events.push(text) })
  await subscriber.subscribe(`${service.config.REDIS_PREFIX}events`)
  const { refreshToken } = await open(service)
  await open(service, { deviceId: 'laptop' })
  await subscriber.ping()
  t.same(events.filter(text => !text.includes('opened')), [], 'nothing has changed')
  t.equal((await service.call('PATCH', `/internal/users/${userId}`, { email: '' })).statusCode, 400)
  t.equal((await service.call('PATCH', `/internal/users/${userId}`, { email })).statusCode, 204)
  await open(service, { deviceId: 'laptop', role })
  t.match((await service.refresh(refreshToken)).json(), { email, role })
  await subscriber.ping()
  t.same(events.filter(text => text.includes('profile')), Array(2).fill('{"type":"profile","id":1}'))
})

t.test('a log-in under way gives a field that no later change has given', async t => {
  const service = await build(t, redis)
  const authenticatedAt = Date.now() / 1000 - 10
  await open(service, { deviceId: 'laptop' })
  await service.call('PATCH', `/internal/users/${userId}`, { role })
  const { profileChangedAt } = await record(service)
  t.match(await open(service, { email, role: 'ADMIN', authenticatedAt }), { email, role })
  t.equal((await record(service)).profileChangedAt, profileChangedAt, 'the change of the role is as late as it was')
  t.match(await open(service, { email: 'other@keygenqt.com', role: 'ADMIN', authenticatedAt: authenticatedAt + 5 }), { email, role })
})

t.test('an access token has no claim for an unknown field, and no other claim takes its name', async t => {
  const both = { ACCESS_TOKEN_CLAIMS: 'email,role' }
  const settings = [both, { ...both, ACCESS_TOKEN_FORMAT: 'rfc9068', ACCESS_TOKEN_AUDIENCE: 'a' }, { ...both, ACCESS_TOKEN_PRIVATE_KEYS: privateKey('ES256') }]
  for (const overrides of settings) {
    const service = await build(t, redis, overrides)
    for (const claims of [{}, { userClaims: { role: 'ADMIN' }, sessionClaims: { email: 'x' } }]) {
      const { token, refreshToken } = await open(service, claims)
      for (const each of [token, (await service.refresh(refreshToken)).json().token]) {
        t.notOk('email' in claimsOf(each))
        t.notOk('role' in claimsOf(each))
      }
    }
    t.match(claimsOf((await open(service, { role })).token), { role, email: undefined })
  }
})

t.test('introspection leaves out an unknown field, and no claim takes its name', async t => {
  const service = await build(t, redis)
  for (const claims of [{}, { userClaims: { role: 'ADMIN', username: 'x', plan: 'gold' } }]) {
    const { token } = await open(service, claims)
    const answer = await introspect(service, token)
    t.match(answer, { active: true, sub: '1', id: 1, ...'userClaims' in claims && { plan: 'gold' } })
    t.same(Object.keys(answer).filter(name => name === 'username' || name === 'role'), [])
  }
  const { token } = await open(service, { role })
  t.match(await introspect(service, token), { active: true, role, username: undefined })
})

t.test('a gateway gets an empty header for an unknown role, which replaces its client\'s', async t => {
  const service = await build(t, redis)
  const { token } = await open(service)
  const { statusCode, headers } = await verify(service, token)
  t.equal(statusCode, 204)
  t.match(headers, { 'x-user-id': '1', 'x-user-role': /^$/, 'x-session-id': claimsOf(token).sid })
  await redis.client.hset(`${service.config.REDIS_PREFIX}1`, 'role', ' ')
  t.equal((await verify(service, token)).statusCode, 500, 'a blank role is damaged')
})
