import t, { type Test } from 'tap'
import type { LightMyRequestResponse } from 'fastify'
import { build, claimsOf, guest, startRedis, type PrivateRedis, type Service } from '../support/helper.ts'
import { appWith, clientOf, optionsWith, post, REFRESH } from '../plugin/helper.ts'
import { hashOf, holder, type Holder } from './helper.ts'

/** Proofs at a refresh, at the documented endpoint and in an app. */

const URL = 'http://localhost/api/ps/refresh'
const PUBLIC = 'https://auth.example'

let redis: PrivateRedis
let client: Holder
t.before(async () => {
  redis = await startRedis(t)
  client = await holder()
})

const proof = async (claims: object = {}, by = client): Promise<Record<string, string>> => ({ dpop: await by.prove({ htm: 'POST', htu: URL, ...claims }) })

const cnfOf = (token: string): unknown => (claimsOf(token) as { cnf?: unknown }).cnf

async function refresh (service: Service, refreshToken: string, headers?: Record<string, string>): Promise<LightMyRequestResponse> {
  return await service.refresh(refreshToken, guest.deviceId, { host: 'localhost', ...headers })
}

function isRefused (t: Test, response: LightMyRequestResponse, what = 'refused'): void {
  t.match(response, { statusCode: 400, body: '{"code":400,"message":"Bad Request"}' }, what)
}

t.test('a session that is opened with jkt is refreshed only with a proof by its key', async t => {
  const service = await build(t, redis, { DPOP: 'optional' })
  const opened = await service.open({ jkt: client.jkt })
  t.same(cnfOf(opened.token), { jkt: client.jkt })
  isRefused(t, await refresh(service, opened.refreshToken), 'no proof')
  isRefused(t, await refresh(service, opened.refreshToken, await proof({}, await holder())), 'another key')
  const response = await refresh(service, opened.refreshToken, await proof())
  t.equal(response.statusCode, 200)
  t.same(Object.keys(response.json()), ['id', 'email', 'role', 'token', 'refreshToken'], 'the five keys')
  t.same(cnfOf(response.json().token), { jkt: client.jkt })
})

t.test('the first refresh with a proof binds the session', async t => {
  const service = await build(t, redis, { DPOP: 'optional' })
  const opened = await service.open()
  const unbound = (await refresh(service, opened.refreshToken)).json()
  t.equal(cnfOf(unbound.token), undefined)
  const bound = (await refresh(service, unbound.refreshToken, await proof())).json()
  t.same(cnfOf(bound.token), { jkt: client.jkt })
  isRefused(t, await refresh(service, bound.refreshToken))
  t.equal((await refresh(service, bound.refreshToken, await proof())).statusCode, 200)
})

t.test('a lost answer is repeated with a new proof; the same proof is refused, and harms nothing', async t => {
  const service = await build(t, redis, { DPOP: 'optional', REFRESH_RETRY_WINDOW: '0' })
  const { refreshToken } = await service.open({ jkt: client.jkt })
  const headers = await proof()
  const first = (await refresh(service, refreshToken, headers)).json()
  isRefused(t, await refresh(service, refreshToken, headers), 'replayed')
  t.equal((await refresh(service, refreshToken, await proof())).json().refreshToken, first.refreshToken)
})

t.test('a wrong proof gets the uniform 400, is counted, and leaves the token unused', async t => {
  const service = await build(t, redis, { DPOP: 'optional', LOG_LEVEL: 'info' })
  const { refreshToken } = await service.open()
  service.log.length = 0
  const good = await proof()
  for (const dpop of ['', 'x', `${good['dpop']}, ${good['dpop']}`, (await proof({ htm: 'GET' }))['dpop']!, (await proof({ htu: `${PUBLIC}/api/ps/refresh` }))['dpop']!]) {
    isRefused(t, await refresh(service, refreshToken, { dpop }), dpop.slice(0, 10))
  }
  service.public.audit.flush()
  t.ok(service.log.every(({ audit, reason }) => audit === 'token.refused' && reason === 'invalid_proof'))
  t.equal(service.log.reduce((sum, { count }) => sum + Number(count ?? 1), 0), 5, 'the audit trail counts all, because the token is authentic')
  t.ok(service.log.length < 5, 'in one line a second')
  t.match(await service.metrics.registry.metrics(), /rts_refresh_requests_total\{outcome="invalid_proof"\} 5/)
  t.equal((await refresh(service, refreshToken, good)).statusCode, 200)
})

t.test('a proof that comes with a forged refresh token is not used up', async t => {
  const service = await build(t, redis, { DPOP: 'optional' })
  const { refreshToken } = await service.open()
  const headers = await proof()
  isRefused(t, await refresh(service, `${refreshToken.slice(0, -8)}AAAAAAAA`, headers))
  t.equal((await refresh(service, refreshToken, headers)).statusCode, 200)
})

t.test('DPOP=required refuses every refresh without a proof', async t => {
  const service = await build(t, redis, { DPOP: 'required' })
  const { refreshToken } = await service.open()
  isRefused(t, await refresh(service, refreshToken))
  t.equal((await refresh(service, refreshToken, await proof())).statusCode, 200)
})

t.test('DPOP=off ignores proofs, and opens no session with a key', async t => {
  const service = await build(t, redis)
  const { refreshToken } = await service.open()
  const response = await refresh(service, refreshToken, { dpop: 'x' })
  t.equal(response.statusCode, 200)
  t.equal(cnfOf(response.json().token), undefined)
  const opening = await service.call('POST', '/internal/sessions', { ...guest, jkt: client.jkt })
  t.match(opening, { statusCode: 400, body: '{"code":400,"message":"Bad Request: body/jkt must be left out while DPOP is off"}' })
})

t.test('htu is the address behind a proxy: OAUTH_ISSUER, or what a trusted proxy says', async t => {
  const at = { htu: `${PUBLIC}/api/ps/refresh` }
  const named = await build(t, redis, { DPOP: 'optional', OAUTH_ISSUER: PUBLIC })
  const { refreshToken } = await named.open()
  isRefused(t, await refresh(named, refreshToken, await proof()))
  t.equal((await refresh(named, refreshToken, await proof(at))).statusCode, 200)

  const forwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'auth.example' }
  const trusting = await build(t, redis, { DPOP: 'optional', TRUST_PROXY: 'on' })
  const second = await trusting.open()
  t.equal((await refresh(trusting, second.refreshToken, { ...await proof(at), ...forwarded })).statusCode, 200)
  const wary = await build(t, redis, { DPOP: 'optional' })
  const third = await wary.open()
  isRefused(t, await refresh(wary, third.refreshToken, { ...await proof(at), ...forwarded }))
  isRefused(t, await refresh(wary, third.refreshToken, { ...await proof(), host: '[' }), 'a malformed host')
})

t.test('in an app: the option dpop, and the decorator', async t => {
  const events: unknown[] = []
  const app = await appWith(t, optionsWith(clientOf(t, redis), { dpop: 'required', onEvent: event => { events.push(event) } }))
  const opened = await app.sessions.open({ ...guest, jkt: client.jkt })
  await t.rejects(app.sessions.refresh({ deviceId: guest.deviceId, refreshToken: opened.refreshToken }), { message: 'refresh refused: invalid_proof' })
  t.match(events.at(-1), { type: 'refused', outcome: 'invalid_proof', userId: 1 })
  const response = await post(app, REFRESH, { deviceId: guest.deviceId, refreshToken: opened.refreshToken }, { host: 'localhost', ...await proof() })
  t.equal(response.statusCode, 200)

  const { token } = response.json()
  const url = 'https://app.example/me'
  const request = async (by: Holder): Promise<{ proof: string, method: string, url: string }> => {
    return { proof: await by.prove({ htm: 'GET', htu: url, ath: hashOf(token) }), method: 'GET', url }
  }
  t.match(await app.sessions.verify(token, await request(client)), { id: 1, payload: { cnf: { jkt: client.jkt } } })
  await t.rejects(app.sessions.verify(token), { message: /access token/ })
  await t.rejects(app.sessions.verify(token, await request(await holder())), { message: /access token/ })
})

t.test('in an app: a wrong dpop, and jkt while it is off', async t => {
  await t.rejects(appWith(t, optionsWith(clientOf(t, redis), { dpop: 'on' as never })), { message: 'dpop must be off, optional or required.' })
  const app = await appWith(t, optionsWith(clientOf(t, redis)))
  await t.rejects(app.sessions.open({ ...guest, jkt: client.jkt }), { message: 'open: jkt must be left out while dpop is off' })
})
