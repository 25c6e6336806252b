import t from 'tap'
import { guest, startRedis, type PrivateRedis } from '../support/helper.ts'
import { basic, buildOauth, errorOf, refreshForm, REVOKE, send, shopKey, TOKEN } from './helper.ts'

// POST /oauth/revoke (RFC 7009).

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

const { deviceId, ...withoutDevice } = guest
const device = { device_id: deviceId }

t.test('any refresh token of a session ends it, under every hint', async t => {
  const service = await buildOauth(t, redis)
  for (const hint of [undefined, 'refresh_token', 'access_token', 'other', '']) {
    const { refreshToken } = await service.open()
    const { refreshToken: next } = (await service.refresh(refreshToken)).json()
    const response = await send(service, REVOKE, { token: refreshToken, ...device, ...hint !== undefined && { token_type_hint: hint } })
    t.equal(response.statusCode, 200, String(hint))
    t.match(response.headers, { 'cache-control': 'no-store', 'content-type': 'application/json; charset=utf-8' })
    t.equal(response.body, '{}')
    t.equal((await service.refresh(next)).statusCode, 400)
    t.equal((await send(service, REVOKE, { token: next, ...device })).statusCode, 200, 'a second time')
  }
  t.same([service.metrics.logouts.ended, service.metrics.logouts.absent], [5, 5])
  t.equal(service.log.filter(({ audit, reason }) => audit === 'session.ended' && reason === 'logout').length, 5)
})

t.test('a session without a device is ended without device_id', async t => {
  const service = await buildOauth(t, redis)
  const { refreshToken } = await service.open({ ...withoutDevice, deviceId: undefined })
  t.equal((await send(service, REVOKE, { token: refreshToken })).statusCode, 200)
  t.equal(service.metrics.logouts.ended, 1)
})

t.test('an invalid token, an access token and a token of another client get a 200 and end nothing', async t => {
  const service = await buildOauth(t, redis)
  const { token, refreshToken } = await service.open({ clientId: 'app' })
  for (const invalid of ['x', `${refreshToken}x`, token, 'x'.repeat(20_000)]) {
    const response = await send(service, REVOKE, { token: invalid, token_type_hint: 'access_token', client_id: 'app' })
    t.same([response.statusCode, response.body], [200, '{}'])
  }
  t.equal((await send(service, REVOKE, { token: refreshToken, ...device })).statusCode, 200)
  t.equal((await send(service, REVOKE, { token: refreshToken, ...device, client_id: 'other' })).statusCode, 200)
  t.equal((await send(service, REVOKE, { token: refreshToken, ...device }, basic('shop', shopKey))).statusCode, 200)
  t.same([service.metrics.logouts.forged, service.metrics.logouts.client_mismatch, service.metrics.logouts.ended], [4, 3, 0])
  t.match(service.log.filter(({ audit }) => audit === 'token.refused'), [{ reason: 'client_mismatch', userId: guest.userId }])
  t.equal((await send(service, TOKEN, refreshForm(refreshToken, { ...device, client_id: 'app' }))).statusCode, 200, 'the session lives')
})

t.test('a client, public or confidential, ends its own session', async t => {
  const service = await buildOauth(t, redis)
  const { refreshToken } = await service.open({ clientId: 'app' })
  const { refreshToken: confidential } = await service.open({ userId: 2, clientId: 'shop' })
  t.equal((await send(service, REVOKE, { token: refreshToken, ...device, client_id: 'app' })).statusCode, 200)
  t.equal((await send(service, REVOKE, { token: confidential, ...device }, basic('shop', shopKey))).statusCode, 200)
  t.equal(service.metrics.logouts.ended, 2)
})

t.test('a revocation without device_id, or with a wrong one, is an invalid_grant and ends nothing', async t => {
  const service = await buildOauth(t, redis)
  const { refreshToken } = await service.open()
  for (const form of [{}, { device_id: 'other' }]) {
    t.same(errorOf(await send(service, REVOKE, { token: refreshToken, ...form })), [400, 'invalid_grant'])
  }
  t.equal(service.metrics.logouts.device_mismatch, 2)
  t.equal((await service.refresh(refreshToken)).statusCode, 200)
})

t.test('a request that is not as documented is an invalid_request', async t => {
  const service = await buildOauth(t, redis)
  const { refreshToken } = await service.open()
  const right = new URLSearchParams({ token: refreshToken, ...device }).toString()
  for (const form of ['', 'token=', 'token_type_hint=refresh_token', `${right}&token=x`, `${right}&device_id=x`, `${right}&x=%zz`, `${right}&token_type_hint=a&token_type_hint=a`]) {
    t.same(errorOf(await send(service, REVOKE, form)), [400, 'invalid_request'], form.slice(0, 20))
  }
  t.equal(service.metrics.logouts.malformed, 7)
  t.equal((await service.refresh(refreshToken)).statusCode, 200)
})
