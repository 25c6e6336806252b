import t, { type Test } from 'tap'
import { hashDevice, hashLegacyToken, importedKey, importedSessionId } from '#src/redis/records'
import { appWith } from '../plugin/helper.ts'
import { build, claimsOf, guest, startRedis, type PrivateRedis, type Service } from '../support/helper.ts'
import { audited, importLines, legacyToken, setupLegacy, type LegacyOptions } from '../support/moving.ts'

/** Imported sessions, refreshed with the tokens of the service that they come from. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

const { deviceId, ...user } = guest

const setup = async (t: Test, options: LegacyOptions = {}): ReturnType<typeof setupLegacy> => await setupLegacy(t, redis, options)

t.test('a legacy token opens its session, and is answered with tokens of this service', async t => {
  const { again, sid, service, value, call } = await setup(t, { line: { label: 'Pixel 9', userClaims: { plan: 'gold' }, sessionClaims: { amr: ['pwd'] } } })
  t.match(await value(), /^000:(\d+):\1:\d+:[\w-]{16}$/)
  const answer = await again()
  t.equal(answer.statusCode, 200)
  const body = answer.json()
  t.same(Object.keys(body), ['id', 'email', 'role', 'token', 'refreshToken'])
  t.match(body, { id: 1, email: guest.email, role: guest.role })
  t.match(claimsOf(body.refreshToken), { id: 1, sid, gen: 1 })
  t.match(claimsOf(body.token), { sid, plan: 'gold', amr: ['pwd'] })
  t.match((await call('GET', '/internal/users/1/sessions')).json(), { sessions: [{ sid, label: 'Pixel 9', generation: 1 }] })
  t.match(await service.public.inject('/nothing'), { statusCode: 404 })
  t.match(audited(service, 'session.opened'), [{ userId: 1, sid, caller: 'client' }])
  t.match(await service.metrics.registry.metrics(), 'rts_sessions_opened_total 1')
  t.match((await service.refresh(body.refreshToken)).statusCode, 200)
  t.equal(audited(service, 'session.opened').length, 1)
})

t.test('the opening of a session is announced once', async t => {
  const { again, sid, service } = await setup(t)
  const { REDIS_PREFIX: prefix } = service.config
  const subscriber = await redis.subscriber(t, `${prefix}1`)
  const events: string[] = []
  subscriber.on('message', (_channel, text) => { events.push(text) })
  await subscriber.subscribe(`${prefix}events`)
  const { refreshToken } = (await again()).json()
  await again()
  await service.refresh(refreshToken)
  await subscriber.ping()
  t.same(events, [`{"type":"opened","id":1,"sid":"${sid}"}`])
})

t.test('a repeated request is answered by the rules of retries', async t => {
  const { again, service, value, sid } = await setup(t)
  const first = (await again()).json()
  t.equal((await again()).json().refreshToken, first.refreshToken, 'within the window')
  t.equal((await service.refresh(first.refreshToken)).statusCode, 200)
  t.equal((await again()).statusCode, 400, 'the successor was used, so two parties have the legacy token')
  t.equal(await value(), null, 'the session is ended')
  t.match(audited(service, 'session.ended'), [{ sid, reason: 'reuse' }])
  t.equal((await again()).statusCode, 400, 'and stays so')
})

t.test('without a window only the same Idempotency-Key is a retry', async t => {
  const { again, value } = await setup(t, { env: { REFRESH_RETRY_WINDOW: '0' } })
  const first = (await again(deviceId, 'a')).json()
  t.equal((await again(deviceId, 'a')).json().refreshToken, first.refreshToken)
  t.equal((await again(deviceId, 'b')).statusCode, 400)
  t.equal(await value(), null)
})

t.test('after the window a legacy token is reuse', async t => {
  const { again, value, key, sid } = await setup(t)
  await again()
  const [gen, created, rotated, ...rest] = (await value())!.split(':')
  await redis.client.hset(key, `s:${sid}`, [gen, created, Number(rotated) - 31, ...rest].join(':'))
  t.equal((await again()).statusCode, 400)
  t.equal(await value(), null)
})

t.test('the device of the line must be the device of the request', async t => {
  const { again, value } = await setup(t)
  const before = await value()
  t.equal((await again('another')).statusCode, 400)
  t.equal(await value(), before)
  t.equal((await again()).statusCode, 200)
})

t.test('a line without a device gets the device of its first refresh', async t => {
  const { again, value, refresh } = await setup(t, { line: { deviceId: null } })
  t.match(await value(), /:-$/)
  const { refreshToken } = (await again('phone')).json()
  t.match(await value(), new RegExp(`:${hashDevice('phone')}$`))
  t.equal((await again('another')).statusCode, 400)
  t.equal((await refresh(refreshToken, 'phone')).statusCode, 200)
})

t.test('a legacy token in the cookie opens the session', async t => {
  const service = await build(t, redis, { LEGACY_TOKENS: 'on', COOKIE_SESSIONS: 'on' })
  const token = `e30.${legacyToken()}.${legacyToken()}`
  await importLines(t, service, [{ ...guest, legacyToken: token }])
  const cookie = `__Host-refresh=${Buffer.from(deviceId).toString('base64url')}.${token}`
  const answer = await service.public.inject({ method: 'POST', url: '/api/ps/session/refresh', headers: { cookie } })
  const [, refreshToken] = /^__Host-refresh=[\w-]+\.([^;]+)/.exec(String(answer.headers['set-cookie']))!
  t.match(claimsOf(refreshToken!), { sid: importedSessionId(hashLegacyToken(token)), gen: 1 })
})

t.test('a token of our own form costs no look-up, and neither does any token unless LEGACY_TOKENS is on', async t => {
  const lookups = async ({ metrics }: Service): Promise<boolean> => (await metrics.registry.metrics()).includes('script="find-imported"')
  const { service, refresh, open } = await setup(t)
  const { refreshToken, token } = await open({ userId: 2 })
  for (const forged of [`${refreshToken.slice(0, -4)}AAAA`, token, (await (await build(t, redis)).open()).refreshToken]) {
    t.equal((await refresh(forged)).statusCode, 400)
  }
  t.notOk(await lookups(service))
  t.equal((await refresh(legacyToken())).statusCode, 400)
  t.ok(await lookups(service))
  t.match(await service.metrics.registry.metrics(), 'rts_refresh_requests_total{outcome="forged"} 4')

  const off = await build(t, redis, { REDIS_PREFIX: service.config.REDIS_PREFIX })
  t.equal((await off.refresh(legacyToken())).statusCode, 400)
  t.notOk(await lookups(off))
})

t.test('an imported session ends like every other, and its legacy token with it', async t => {
  const ends: Record<string, (of: Awaited<ReturnType<typeof setup>>) => Promise<unknown>> = {
    'log-out by the client': async ({ service, token }) => await service.logOut(token),
    'log-out by the service': async ({ call, sid }) => await call('DELETE', `/internal/users/1/sessions/${sid}`),
    'log-out everywhere': async ({ call }) => await call('DELETE', '/internal/users/1/sessions'),
    erasure: async ({ call }) => await call('DELETE', '/internal/users/1?erase'),
    'a new log-in of the device': async ({ open }) => await open()
  }
  for (const [name, end] of Object.entries(ends)) {
    const of = await setup(t)
    await end(of)
    t.equal(await of.value(), null, name)
    t.equal((await of.again()).statusCode, 400, name)
    const { json } = await importLines(t, of.service, [{ ...user, legacyToken: of.token, deviceId }])
    t.match(json, { imported: 0, alreadyImported: 1 }, `${name}: a second import does not bring it back`)
    t.equal((await of.again()).statusCode, 400, name)
  }
})

t.test('log-out by a client ends an imported session without a device', async t => {
  const { service, token, value, again } = await setup(t, { line: { deviceId: null } })
  t.equal((await service.logOut(token)).statusCode, 204)
  t.equal(await value(), null)
  t.equal((await again()).statusCode, 400)
})

t.test('a profile that changed since the import is answered', async t => {
  const { call, again } = await setup(t)
  t.equal((await call('PATCH', '/internal/users/1', { role: 'NONE' })).statusCode, 204)
  t.match((await again()).json(), { email: guest.email, role: 'NONE' })
})

t.test('a line of an OAuth client opens nothing at this endpoint', async t => {
  const { again, value } = await setup(t, { line: { clientId: 'app' } })
  const before = await value()
  t.equal((await again()).statusCode, 400)
  t.equal(await value(), before)
})

t.test('the plugin has the option legacyTokens', async t => {
  const service = await build(t, redis)
  const token = legacyToken()
  await importLines(t, service, [{ userId: 1, legacyToken: token }])
  const { REDIS_URL, REDIS_SENTINEL_PASSWORD, REDIS_PREFIX, REFRESH_TOKEN_SECRETS, ACCESS_TOKEN_SECRETS } = service.config
  const events: object[] = []
  const app = await appWith(t, {
    redis: REDIS_URL,
    ...REDIS_SENTINEL_PASSWORD !== undefined && { redisSentinelPassword: REDIS_SENTINEL_PASSWORD },
    redisPrefix: REDIS_PREFIX,
    refreshTokenSecrets: REFRESH_TOKEN_SECRETS,
    accessTokenSecrets: ACCESS_TOKEN_SECRETS,
    legacyTokens: 'on',
    onEvent: event => { events.push(event) }
  })
  const { refreshToken } = await app.sessions.refresh({ deviceId, refreshToken: token })
  const sid = importedSessionId(hashLegacyToken(token))
  t.match(claimsOf(refreshToken), { sid, gen: 1 })
  t.same(events, [{ type: 'opened', userId: 1, sid }, { type: 'refreshed', outcome: 'rotated', userId: 1, sid }])
})

t.test('the marker has no token, and expires with the line', async t => {
  const expiresAt = Math.floor(Date.now() / 1000) + 500
  const { token, service, value } = await setup(t, { line: { expiresAt } })
  const marker = importedKey(service.config.REDIS_PREFIX, hashLegacyToken(token))
  t.same(await redis.client.hgetall(marker), { id: '1' })
  t.equal(await redis.client.expiretime(marker), expiresAt)
  t.match(await value(), `:${expiresAt}:`)
})
