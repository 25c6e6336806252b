import { randomBytes } from 'node:crypto'
import * as oauth from 'oauth4webapi'
import t, { type Test } from 'tap'
import { apiKey, build, claimsOf, guest, startRedis, type PrivateRedis, type Service, type TokensBody } from '../support/helper.ts'

/** RFC 7662: a certified client reads our answers, and introspection changes nothing. */

/** Required parameter to introspect a refresh token. */
const asRefresh = { token_type_hint: 'refresh_token' }

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

interface Setup extends Service {
  /** The certified client's view of a token, over a real connection. */
  introspect: (token: string, parameters?: Record<string, string>) => Promise<oauth.IntrospectionResponse>
  /** The guest's whole record in Redis, including its expiry. */
  bytes: () => Promise<unknown>
  /** Moves all times of a session into the past, as if seconds had passed. */
  pass: (sid: string, seconds: number) => Promise<void>
  setRecord: (sid: string, change: (parts: number[]) => number[]) => Promise<void>
}

const client = { client_id: 'gateway' }
const bearer = (key: string): oauth.ClientAuth => (_as, _client, _body, headers) => { headers.set('authorization', `Bearer ${key}`) }

async function setup (t: Test, overrides: Record<string, string> = {}): Promise<Setup> {
  const service = await build(t, redis, overrides)
  const server = { issuer: 'https://refresh.example', introspection_endpoint: `${await service.internal.listen()}/internal/introspect` }
  const key = `${service.config.REDIS_PREFIX}${guest.userId}`
  const setRecord: Setup['setRecord'] = async (sid, change) => {
    const parts = (await redis.client.hget(key, `s:${sid}`))!.split(':')
    await redis.client.hset(key, `s:${sid}`, [...change(parts.slice(0, 4).map(Number)), ...parts.slice(4)].join(':'))
  }
  return {
    ...service,
    introspect: async (token, additionalParameters = {}) => {
      const options = { [oauth.allowInsecureRequests]: true, additionalParameters }
      const response = await oauth.introspectionRequest(server, client, bearer(apiKey), token, options)
      return await oauth.processIntrospectionResponse(server, client, response)
    },
    bytes: async () => [(await redis.client.dumpBuffer(key))?.toString('hex'), await redis.client.expiretime(key)],
    pass: async (sid, seconds) => await setRecord(sid, ([gen, ...times]) => [gen!, ...times.map(time => time - seconds)]),
    setRecord
  }
}

const form = (service: Service, payload: string, headers: Record<string, string> = {}) => service.internal.inject({
  method: 'POST',
  url: '/internal/introspect',
  headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/x-www-form-urlencoded', ...headers },
  payload
})

t.test('describes an active access token', async t => {
  const { introspect, open, call, refresh } = await setup(t)
  const { token, refreshToken } = await open()
  const { iss, iat, exp, sid } = claimsOf(token)
  const answer = {
    active: true, token_type: 'Bearer', token_use: 'access', sub: '1', username: guest.email, iss, iat, exp, id: 1, sid, role: guest.role
  }
  t.same(await introspect(token), answer)
  for (const hint of ['access_token', 'refresh_token', 'saml', '']) t.same(await introspect(token, { token_type_hint: hint, x: 'y' }), answer, hint)
  await refresh(refreshToken)
  t.same(await introspect(token), answer, 'it stays active after a rotation')
  await call('PATCH', '/internal/users/1', { role: 'ADMIN', email: 'new@keygenqt.com' })
  t.same(await introspect(token), { ...answer, role: 'ADMIN', username: 'new@keygenqt.com' }, 'the answer has the record\'s profile')
})

t.test('describes an active refresh token', async t => {
  const { introspect, open } = await setup(t)
  const { refreshToken } = await open()
  const { iss, iat, exp, sid } = claimsOf(refreshToken)
  const answer = {
    active: true, token_type: 'N_A', token_use: 'refresh', sub: '1', username: guest.email, iss, iat, exp, id: 1, sid, role: guest.role
  }
  t.same(await introspect(refreshToken, asRefresh), answer)
})

t.test('a refresh token is inactive without the hint refresh_token', async t => {
  const { introspect, open, refresh } = await setup(t)
  const { refreshToken } = await open()
  t.same(await introspect(refreshToken), { active: false }, 'no hint')
  for (const hint of ['access_token', 'saml', '', 'Refresh_Token', ' refresh_token', 'refresh_token ', 'refresh_token,access_token']) {
    t.same(await introspect(refreshToken, { token_type_hint: hint }), { active: false }, `hint «${hint}»`)
  }
  const successor = (await refresh(refreshToken)).json().refreshToken
  for (const token of [refreshToken, successor]) {
    t.same(await introspect(token), { active: false }, 'used within the retry window, and its successor')
    t.match(await introspect(token, asRefresh), { active: true, token_use: 'refresh' })
  }
})

t.test('an invalid or ended token is inactive, and the answer says nothing else', async t => {
  const { introspect, open, call, pass, config } = await setup(t, { ACCESS_TOKEN_TTL: '60', REFRESH_IDLE_TTL: '100' })
  const stranger = await setup(t)
  const session = await open()
  const { sid } = claimsOf(session.token)
  const header = session.token.split('.')[0]!
  const nothing: Record<string, string> = {
    'no token': 'x',
    'half a token': session.token.slice(0, -1),
    'a wrong signature': `${session.token.split('.').slice(0, 2).join('.')}.${stranger.config.ACCESS_TOKEN_SECRETS.slice(0, 85)}A`,
    'another service\'s access token': (await stranger.open()).token,
    'another service\'s refresh token': (await stranger.open()).refreshToken,
    'a text longer than any token': header.repeat(500),
    'bytes of any kind': randomBytes(64).toString('latin1'),
    'the API key': apiKey
  }
  for (const [what, token] of Object.entries(nothing)) {
    for (const parameters of [{}, asRefresh]) t.same(await introspect(token, parameters), { active: false }, what)
  }

  const ends: Record<string, (session: TokensBody) => Promise<unknown>> = {
    revoked: async () => await call('DELETE', `/internal/users/1/sessions/${sid}`),
    'revoked everywhere': async () => await call('DELETE', '/internal/users/1/sessions'),
    expired: async ({ token }) => await pass(claimsOf(token).sid, 100),
    replaced: async () => await open(),
    'gone with its data': async () => await redis.client.del(`${config.REDIS_PREFIX}1`)
  }
  let current = session
  for (const [what, end] of Object.entries(ends)) {
    const both = async () => [await introspect(current.token), await introspect(current.refreshToken, asRefresh)]
    t.match(await both(), [{ active: true }, { active: true }])
    await end(current)
    t.same(await both(), [{ active: false }, { active: false }], what)
    current = await open()
  }
})

t.test('an access token ends at its exp, by Redis\'s clock', async t => {
  const service = await setup(t)
  const { sid } = claimsOf((await service.open()).token)
  const now = Number((await redis.client.time())[0])
  const { signAccess } = service.internal.tokens
  t.same(await service.introspect(signAccess({ id: 1, sid, gen: 1 }, now - 900)), { active: false })
  t.match(await service.introspect(signAccess({ id: 1, sid, gen: 1 }, now - 800)), { active: true, exp: now + 100 })
})

/** Each case prepares a token; `active` is whether a refresh with it would succeed. */
const cases: Record<string, { active: boolean, overrides?: Record<string, string>, prepare: (s: Setup) => Promise<string> }> = {
  'the current generation': { active: true, prepare: async s => (await s.open()).refreshToken },
  'the previous generation within the window': {
    active: true,
    overrides: { REFRESH_RETRY_WINDOW: '3600' },
    prepare: async s => {
      const { refreshToken } = await s.open()
      await s.refresh(refreshToken)
      await s.pass(claimsOf(refreshToken).sid, 3000)
      return refreshToken
    }
  },
  'the previous generation after the window': {
    active: false,
    prepare: async s => {
      const { refreshToken } = await s.open()
      await s.refresh(refreshToken)
      await s.pass(claimsOf(refreshToken).sid, 30)
      return refreshToken
    }
  },
  'the previous generation after the window, used with an Idempotency-Key': {
    active: false,
    prepare: async s => {
      const { refreshToken } = await s.open({ idleTtl: 100 })
      await s.refresh(refreshToken, guest.deviceId, { 'idempotency-key': 'a' })
      await s.pass(claimsOf(refreshToken).sid, 30)
      return refreshToken
    }
  },
  'the current generation of a session with an Idempotency-Key and lifetimes of its own': {
    active: true,
    prepare: async s => {
      const { refreshToken } = await s.open({ idleTtl: 100, absoluteTtl: 200 })
      return (await s.refresh(refreshToken, guest.deviceId, { 'idempotency-key': 'a' })).json().refreshToken
    }
  },
  'the previous generation without a window': {
    active: false,
    overrides: { REFRESH_RETRY_WINDOW: '0' },
    prepare: async s => {
      const { refreshToken } = await s.open()
      await s.refresh(refreshToken)
      return refreshToken
    }
  },
  'an older generation': {
    active: false,
    prepare: async s => {
      const { refreshToken } = await s.open()
      await s.refresh((await s.refresh(refreshToken)).json().refreshToken)
      return refreshToken
    }
  },
  'a generation ahead of the record, which lost writes': {
    active: true,
    prepare: async s => {
      const { refreshToken } = await s.open()
      const second = (await s.refresh(refreshToken)).json().refreshToken
      await s.setRecord(claimsOf(second).sid, ([, ...times]) => [1, ...times])
      return second
    }
  },
  'an expired generation ahead of the record': {
    active: false,
    prepare: async s => {
      const { sid, iat } = claimsOf((await s.open()).refreshToken)
      return s.public.tokens.signRefresh({ id: 1, sid, gen: 5, iat, exp: iat })
    }
  },
  'the current generation of a session older than a lowered absolute lifetime': {
    active: false,
    prepare: async s => {
      const { refreshToken } = await s.open()
      await s.setRecord(claimsOf(refreshToken).sid, ([gen, , rotated, expires]) => [gen!, 0, rotated!, expires!])
      return refreshToken
    }
  },
  'the previous generation after the clock was set back': {
    active: false,
    prepare: async s => {
      const { refreshToken } = await s.open()
      await s.refresh(refreshToken)
      await s.setRecord(claimsOf(refreshToken).sid, ([gen, created, rotated, expires]) => [gen!, created!, rotated! + 1000, expires!])
      return refreshToken
    }
  },
  'the current generation of an expired session': {
    active: false,
    prepare: async s => {
      const { refreshToken } = await s.open()
      await s.pass(claimsOf(refreshToken).sid, 2_592_000)
      return refreshToken
    }
  }
}

t.test('a refresh token is active exactly if a refresh with it succeeds, and introspection changes nothing', async t => {
  for (const [what, { active, overrides, prepare }] of Object.entries(cases)) {
    const s = await setup(t, overrides)
    const token = await prepare(s)
    const before = await s.bytes()
    for (let i = 0; i < 3; i++) t.equal((await s.introspect(token, asRefresh)).active, active, what)
    t.same(await s.bytes(), before, `${what}: the record is unchanged`)
    t.equal((await s.refresh(token)).statusCode, active ? 200 : 400, `${what}: a refresh gives the same result`)
  }
})

t.test('exp is the time at which an unused token becomes inactive', async t => {
  const s = await setup(t, { REFRESH_RETRY_WINDOW: '3600' })
  const endOf = async (token: string) => (await s.introspect(token, asRefresh)).exp
  const { refreshToken: first } = await s.open()
  const second = (await s.refresh(first)).json().refreshToken
  const { sid, iat, exp } = claimsOf(second)
  t.equal(await endOf(first), iat + 3600, 'the previous token: the end of its retry window')
  t.equal(await endOf(second), exp)
  await s.setRecord(sid, ([, created, rotated]) => [2, created!, rotated!, rotated! + 1000])
  t.same([await endOf(first), await endOf(second)], [iat + 1000, iat + 1000], 'never later than the end of the session')
  const ahead = s.public.tokens.signRefresh({ id: 1, sid, gen: 9, iat, exp: iat + 2000 })
  t.equal(await endOf(ahead), iat + 1000)
  t.equal(await endOf(s.public.tokens.signRefresh({ id: 1, sid, gen: 9, iat, exp: iat + 900 })), iat + 900)
})

t.test('rejects malformed requests', async t => {
  const s = await setup(t)
  const { token } = await s.open()
  const wrong = [['', /'token'/], ['token=', /token/], ['token_type_hint=access_token', /'token'/], ['token=a&token=b', /body\/token must be string/],
    ['token=a&token_type_hint=b&token_type_hint=c', /token_type_hint/]] as const
  for (const [payload, message] of wrong) {
    const response = await form(s, payload)
    t.equal(response.statusCode, 400, payload)
    t.same(Object.keys(response.json()), ['code', 'message'])
    t.match(response.json(), { code: 400, message })
  }
  for (const type of ['application/json', 'text/plain', 'multipart/form-data; boundary=x', 'application/x-www-form-urlencoded-not', '']) {
    const response = await form(s, type === 'application/json' ? JSON.stringify({ token }) : `token=${token}`, { 'content-type': type })
    t.equal(response.body, '{"code":400,"message":"Bad Request"}', type)
  }
  const none = await s.internal.inject({ method: 'POST', url: `/internal/introspect?token=${token}`, headers: { authorization: `Bearer ${apiKey}` } })
  t.equal(none.statusCode, 400, 'rejects a token in the query')
  t.equal((await form(s, `token=${'a'.repeat(40_000)}`)).statusCode, 400)
  t.equal((await s.call('GET', `/internal/introspect?token=${token}`)).statusCode, 404)
  t.equal((await form(s, `token=${token}`, { 'content-type': 'Application/X-WWW-Form-Urlencoded; charset=utf-8' })).json().active, true)
  t.equal((await s.internal.inject({
    method: 'POST', url: '/internal/sessions', headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/x-www-form-urlencoded' }, payload: 'userId=1'
  })).statusCode, 400, 'other routes reject forms')
})

t.test('rejects requests without the API key', async t => {
  const s = await setup(t)
  const { token } = await s.open()
  for (const authorization of ['', `Bearer ${apiKey}x`, `Bearer ${token}`, `Basic ${apiKey}`]) {
    const response = await form(s, `token=${token}`, { authorization })
    t.equal(response.body, '{"code":401,"message":"Unauthorized"}')
    t.match(response.headers, { 'www-authenticate': authorization.startsWith('Basic') ? 'Basic realm="refresh-token-service"' : 'Bearer', 'cache-control': 'no-store' })
  }
})

t.test('answers 500 while Redis is down, and never logs a token', async t => {
  const server = await startRedis(t)
  const service = await build(t, server)
  const { token, refreshToken } = await service.open()
  const requests = [`token=${token}`, `token=${refreshToken}&token_type_hint=refresh_token`, `token=${token}&token=${refreshToken}`]
  for (const payload of requests) await form(service, payload)
  await service.call('GET', `/internal/introspect?token=${token}`)
  await server.kill()
  for (const payload of requests.slice(0, 2)) t.equal((await form(service, payload)).body, '{"code":500,"message":"Internal Error"}')
  t.equal((await form(service, 'token=x')).body, '{"active":false}', 'rejects a forged token without Redis')
  t.equal((await form(service, `token=${refreshToken}`)).body, '{"active":false}', 'a refresh token without the hint needs no Redis either')
  const log = JSON.stringify(service.log)
  for (const secret of [token, refreshToken, apiKey, token.split('.')[2]!, refreshToken.split('.')[1]!]) t.notOk(log.includes(secret))
  t.match(service.log, [{}])
})
