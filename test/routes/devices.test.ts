import type { LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { hashOf, holder } from '../dpop/helper.ts'
import { appWith, clientOf, optionsWith } from '../plugin/helper.ts'
import { build, claimsOf, guest, startRedis, type Service, type TokensBody } from '../support/helper.ts'

/** Users list and end their own sessions, with an access token. */

const redis = await startRedis(t)

type Method = 'GET' | 'DELETE'

const PATH = '/api/ps/sessions'

async function send ({ public: app }: Pick<Service, 'public'>, method: Method, path: string, token?: string): Promise<LightMyRequestResponse> {
  return await app.inject({ method, url: path, headers: token === undefined ? {} : { authorization: `Bearer ${token}` } })
}

const sidOf = ({ token }: TokensBody): string => claimsOf(token).sid

/** The labels of a user's live sessions, sorted. */
async function labels (service: Service, userId = 1): Promise<string[]> {
  const { sessions } = (await service.call('GET', `/internal/users/${userId}/sessions`)).json() as { sessions: Array<{ label: string }> }
  return sessions.map(({ label }) => label).sort()
}

async function withDevices (service: Service): Promise<Record<'phone' | 'laptop' | 'tablet' | 'stranger', TokensBody>> {
  return {
    phone: await service.open({ deviceId: 'phone', label: 'Phone' }),
    laptop: await service.open({ deviceId: 'laptop', label: 'Laptop' }),
    tablet: await service.open({ deviceId: 'tablet', label: 'Tablet' }),
    stranger: await service.open({ userId: 2, deviceId: 'phone', label: 'Stranger' })
  }
}

const every: Array<[Method, string]> = [['GET', PATH], ['DELETE', PATH], ['DELETE', `${PATH}/${'A'.repeat(22)}`]]

t.test('the routes do not exist by default', async t => {
  const service = await build(t, redis)
  const { token } = await service.open()
  for (const [method, path] of every) t.equal((await send(service, method, path, token)).statusCode, 404)
})

t.test('lists the devices of the user alone, and marks this one', async t => {
  const service = await build(t, redis, { DEVICE_ROUTES: 'on' })
  const { phone, laptop } = await withDevices(service)
  const answer = await send(service, 'GET', PATH, phone.token)
  t.equal(answer.statusCode, 200)
  t.match(answer.headers, { 'cache-control': 'no-store', 'content-type': 'application/json; charset=utf-8' })
  const { sessions } = answer.json() as { sessions: Array<Record<string, unknown>> }
  t.same(sessions.map(({ label, current }) => `${label} ${current}`).sort(), ['Laptop false', 'Phone true', 'Tablet false'])
  t.same(Object.keys(sessions[0]!), ['sid', 'label', 'createdAt', 'lastUsedAt', 'expiresAt', 'current'])
  t.equal(sessions.find(({ label }) => label === 'Laptop')!.sid, sidOf(laptop))
})

t.test('ends one device, or all others, and no session of another user', async t => {
  const service = await build(t, redis, { DEVICE_ROUTES: 'on' })
  const { phone, laptop, stranger } = await withDevices(service)
  const end = async (path: string): Promise<number> => (await send(service, 'DELETE', path, phone.token)).statusCode

  t.equal(await end(`${PATH}/${sidOf(stranger)}`), 204, 'as for a session that has ended: the answer tells nothing')
  t.same(await labels(service, 2), ['Stranger'])
  t.same(await labels(service), ['Laptop', 'Phone', 'Tablet'])

  for (const time of ['first', 'second']) t.equal(await end(`${PATH}/${sidOf(laptop)}`), 204, `the ${time} time`)
  t.same(await labels(service), ['Phone', 'Tablet'])
  t.equal((await service.refresh(laptop.refreshToken, 'laptop')).statusCode, 400)
  t.match(service.log.find(({ sid, audit }) => sid === sidOf(laptop) && audit === 'session.ended'), { audit: 'session.ended', userId: 1, sid: sidOf(laptop), caller: 'client', reason: 'logout' })

  t.equal(await end(PATH), 204)
  t.same(await labels(service), ['Phone'])
  t.same(await labels(service, 2), ['Stranger'])

  t.equal(await end(`${PATH}/${sidOf(phone)}`), 204, 'also this one')
  t.same(await labels(service), [])
})

t.test('a token that may not speak for the user gets one 401, and changes nothing', async t => {
  const service = await build(t, redis, { DEVICE_ROUTES: 'on', ACCESS_TOKEN_TTL: '1000' })
  const { phone, laptop } = await withDevices(service)
  const ended = await service.open({ deviceId: 'ended' })
  await service.logOut(ended.refreshToken, 'ended')
  const ofClient = await service.open({ deviceId: undefined, label: 'Client', clientId: 'app' })
  const expired = service.public.tokens.signAccess({ id: 1, sid: sidOf(laptop), gen: 1 }, claimsOf(phone.token).iat - 1000)
  const tokens = {
    none: undefined,
    forged: `${phone.token.slice(0, -4)}AAAA`,
    refresh: phone.refreshToken,
    ended: ended.token,
    ofClient: ofClient.token,
    expired
  }
  const before = await labels(service)
  for (const [name, token] of Object.entries(tokens)) {
    for (const [method, path] of [...every, ['DELETE', `${PATH}/${sidOf(phone)}`] as const]) {
      const answer = await send(service, method, path, token)
      t.equal(`${answer.statusCode} ${answer.body}`, '401 {"code":401,"message":"Unauthorized"}', `${name}: ${method}`)
      t.equal(answer.headers['www-authenticate'], token === undefined ? 'Bearer' : 'Bearer error="invalid_token"')
    }
  }
  t.same(await labels(service), before)
})

t.test('a token that is bound to a key is accepted with a proof of the request alone', async t => {
  const service = await build(t, redis, { DEVICE_ROUTES: 'on', DPOP: 'optional', OAUTH_ISSUER: 'https://login.example.com' })
  const [client, thief] = [await holder(), await holder()]
  const { token } = await service.open({ label: 'Bound', jkt: client.jkt })
  const { token: unbound } = await service.open({ deviceId: 'laptop', label: 'Laptop' })
  const get = async (scheme: string, accessToken: string, dpop?: string): Promise<LightMyRequestResponse> =>
    await service.public.inject({ url: PATH, headers: { authorization: `${scheme} ${accessToken}`, ...dpop !== undefined && { dpop } } })
  const prove = async (accessToken: string, by = client, htm = 'GET'): Promise<string> =>
    await by.prove({ htm, htu: `https://login.example.com${PATH}`, ath: hashOf(accessToken) })

  const proof = await prove(token)
  t.match((await get('DPoP', token, proof)).json().sessions.find(({ current }: { current: boolean }) => current), { label: 'Bound' })
  const refused: Array<[name: string, scheme: string, token: string, proof: string | undefined, challenge: RegExp]> = [
    ['as a bearer token', 'Bearer', token, undefined, /^DPoP error="invalid_token"/],
    ['as a bearer token with a proof', 'Bearer', token, await prove(token), /^DPoP error="invalid_token"/],
    ['without a proof', 'DPoP', token, undefined, /^DPoP error="invalid_dpop_proof"/],
    ['the same proof again', 'DPoP', token, proof, /^DPoP error="invalid_dpop_proof"/],
    ['a proof by another key', 'DPoP', token, await prove(token, thief), /^DPoP error="invalid_dpop_proof"/],
    ['a proof of another method', 'DPoP', token, await prove(token, client, 'DELETE'), /^DPoP error="invalid_dpop_proof"/],
    ['an unbound token', 'DPoP', unbound, await prove(unbound), /^DPoP error="invalid_token"/]
  ]
  for (const [name, scheme, accessToken, presented, challenge] of refused) {
    const answer = await get(scheme, accessToken, presented)
    t.equal(`${answer.statusCode} ${answer.body}`, '401 {"code":401,"message":"Unauthorized"}', name)
    t.match(answer.headers['www-authenticate'], challenge, name)
  }
  t.same(await labels(service), ['Bound', 'Laptop'])
})

t.test('a malformed id of a session gets the uniform 400', async t => {
  const service = await build(t, redis, { DEVICE_ROUTES: 'on' })
  const { token } = await service.open()
  for (const sid of ['short', 'A'.repeat(23), '%2E%2E%2F%2E%2E%2Fusers%2F2%2Fxxxxxxx']) {
    const answer = await send(service, 'DELETE', `${PATH}/${sid}`, token)
    t.equal(`${answer.statusCode} ${answer.body}`, '400 {"code":400,"message":"Bad Request"}')
  }
})

t.test('the limits of clients hold, and their metrics', async t => {
  const service = await build(t, redis, { DEVICE_ROUTES: 'on', RATE_LIMIT_PER_SESSION: '2/60' })
  const { phone, laptop } = await withDevices(service)
  for (const status of [200, 200, 429]) t.equal((await send(service, 'GET', PATH, phone.token)).statusCode, status)
  t.match((await send(service, 'GET', PATH, phone.token)).headers, { 'retry-after': /^\d+$/ })
  t.equal((await send(service, 'GET', PATH, laptop.token)).statusCode, 200, 'each session has a limit of its own')
  t.equal((await service.refresh(phone.refreshToken, 'phone')).statusCode, 200, 'which is not that of refreshes')
  t.match((await service.internal.inject('/metrics')).body,
    /rts_http_request_duration_seconds_count\{surface="public",method="GET",route="\/api\/ps\/sessions",status="429"\} 2/)

  const full = await build(t, redis, { DEVICE_ROUTES: 'on', MAX_REFRESHES_IN_FLIGHT: '1' })
  const { token } = await full.open()
  full.public.concurrencyLimit.acquire()
  t.equal((await send(full, 'GET', PATH, token)).statusCode, 500)
  full.public.concurrencyLimit.release()
  t.equal((await send(full, 'GET', PATH, token)).statusCode, 200)
})

t.test('pages of allowed origins may send the token', async t => {
  const origin = 'https://app.example.com'
  const service = await build(t, redis, { NODE_ENV: 'production', DEVICE_ROUTES: 'on', CORS_ORIGINS: origin })
  const asked = await service.public.inject({
    method: 'OPTIONS', url: PATH, headers: { origin, 'access-control-request-method': 'DELETE', 'access-control-request-headers': 'authorization' }
  })
  t.match(asked.headers, {
    'access-control-allow-origin': origin, 'access-control-allow-methods': /\bDELETE\b/, 'access-control-allow-headers': /\bauthorization\b/
  })
})

t.test('while Redis is down, the answer is 500, and the log has a line a second', async t => {
  const own = await startRedis(t)
  const service = await build(t, own, { DEVICE_ROUTES: 'on' })
  const { token } = await service.open()
  await own.kill()
  for (const answer of await Promise.all([1, 2, 3].map(async () => await send(service, 'GET', PATH, token)))) {
    t.equal(`${answer.statusCode} ${answer.body}`, '500 {"code":500,"message":"Internal Error"}')
  }
  t.equal(service.log.filter(({ msg }) => msg === 'request failed').length, 1)
})

t.test('the plugin has them with deviceRoutes, under its prefix', async t => {
  const options = optionsWith(clientOf(t, redis), { deviceRoutes: 'on', routes: { prefix: '/auth' } })
  const app = await appWith(t, options)
  const { token } = await app.sessions.open({ ...guest, label: 'Phone' })
  const answer = await app.inject({ url: '/auth/sessions', headers: { authorization: `Bearer ${token}` } })
  t.match(answer.json(), { sessions: [{ label: 'Phone', current: true }] })
  t.equal((await (await appWith(t, optionsWith(clientOf(t, redis)))).inject(PATH)).statusCode, 404)
  await t.rejects(appWith(t, { ...options, deviceRoutes: true as never }), { message: 'deviceRoutes must be off or on.' })
})
