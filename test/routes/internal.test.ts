import t from 'tap'
import { apiKey, build, claimsOf, guest, startRedis, type Service } from '../support/helper.ts'

/** The API key, schemas and answers of the internal API. */

let service: Service
t.before(async () => {
  service = await build(t, await startRedis(t))
})

const sid = 'A'.repeat(22)
const calls = [
  ['POST', '/internal/sessions'],
  ['GET', '/internal/users/1/sessions'],
  ['DELETE', `/internal/users/1/sessions/${sid}`],
  ['DELETE', '/internal/users/1/sessions'],
  ['PATCH', '/internal/users/1'],
  ['GET', '/internal/users/1'],
  ['DELETE', '/internal/users/1?erase']
] as const

t.test('rejects every call without the API key', async t => {
  const wrong = [undefined, '', 'Bearer', 'Bearer ', `Bearer ${apiKey}x`, `Bearer ${apiKey.slice(1)}`, `Basic ${apiKey}`, apiKey, `Bearer ${apiKey} x`, 'Bearer \u00ff']
  for (const [method, url] of calls) {
    for (const authorization of wrong) {
      const response = await service.internal.inject({ method, url, headers: authorization === undefined ? {} : { authorization } })
      t.equal(response.statusCode, 401, `${method} ${url} with ${authorization?.replace(apiKey, '<key>')}`)
      t.equal(response.body, '{"code":401,"message":"Unauthorized"}')
      t.match(response.headers, { 'www-authenticate': authorization?.startsWith('Basic') === true ? 'Basic realm="refresh-token-service"' : 'Bearer', 'cache-control': 'no-store' })
    }
  }
  t.equal((await service.internal.inject({ url: '/internal/users/1/sessions', headers: { authorization: `bearer  ${apiKey}` } })).statusCode, 200)
})

t.test('opening a session answers with the five documented keys', async t => {
  const response = await service.call('POST', '/internal/sessions', { ...guest, label: 'Pixel 9' })
  t.equal(response.statusCode, 201)
  t.same(Object.keys(response.json()), ['id', 'email', 'role', 'token', 'refreshToken'])
  t.match(response.json(), { id: 1, email: guest.email, role: guest.role })
  t.match(claimsOf(response.json().refreshToken), { id: 1, gen: 1 })
  t.equal(response.headers['cache-control'], 'no-store')
})

t.test('rejects a wrong field and names it', async t => {
  const wrong: Record<string, unknown[]> = {
    userId: [undefined, 0, -1, 1.5, '1', null, 2 ** 53, [1]],
    email: ['', 'x', 'a@', '@b', 'a b@c', 'a@b\n', 'a\u202e@b', `${'a'.repeat(250)}@b.de`, 1, null],
    role: ['', 'guest', '1A', '_A', 'A'.repeat(33), 'A-B', 'A\n', 1, null],
    deviceId: ['', '  ', 'x'.repeat(256), 1, null],
    idleTtl: [0, -1, 1.5, 2_592_001, 1e300, '60', null, [60]],
    absoluteTtl: [0, -1, 1.5, 31_536_001, 1e300, '60', null, [60]],
    label: ['', '  ', 'a\u0000', '\u001b[31m', 'x'.repeat(49), 'é'.repeat(25), 1, null]
  }
  for (const [field, values] of Object.entries(wrong)) {
    for (const value of values) {
      const response = await service.call('POST', '/internal/sessions', { ...guest, [field]: value })
      t.equal(response.statusCode, 400, `${field}: ${JSON.stringify(value)}`)
      t.equal(response.json().code, 400)
      t.match(response.json().message, new RegExp(`^Bad Request: body.*${field}`))
    }
  }
  for (const good of [{ email: `${'a'.repeat(249)}@b.de` }, { role: 'A'.repeat(32) }, { label: 'é'.repeat(24) }, { userId: Number.MAX_SAFE_INTEGER }, { idleTtl: 1, absoluteTtl: 1 }, { idleTtl: 2_592_000, absoluteTtl: 31_536_000 }]) {
    t.equal((await service.call('POST', '/internal/sessions', { ...guest, ...good })).statusCode, 201)
  }
})

t.test('a session opened without a device has tokens, and the refresh endpoint refuses them', async t => {
  const [first, second] = [await service.open({ userId: 81, deviceId: undefined }), await service.open({ userId: 81, deviceId: undefined })]
  const { sessions } = (await service.call('GET', '/internal/users/81/sessions')).json()
  t.equal(sessions.length, 2, 'none replaces another')
  for (const { refreshToken } of [first, second]) {
    service.log.length = 0
    for (const deviceId of [guest.deviceId, '-', 'undefined']) t.equal((await service.refresh(refreshToken, deviceId)).statusCode, 400)
    t.match(service.log.map(({ outcome }) => outcome).filter(outcome => outcome !== undefined), Array(3).fill('device_mismatch'))
  }
  t.equal((await service.call('GET', '/internal/users/81/sessions')).json().sessions.length, 2, 'a refusal ends none')
})

t.test('lists a user\'s sessions', async t => {
  t.same((await service.call('GET', '/internal/users/77/sessions')).json(), { sessions: [] })
  const { refreshToken } = await service.open({ userId: 77, label: 'Pixel 9' })
  await service.refresh(refreshToken)
  const response = await service.call('GET', '/internal/users/77/sessions')
  t.equal(response.statusCode, 200)
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/
  t.same(Object.keys(response.json().sessions[0]), ['sid', 'label', 'generation', 'createdAt', 'lastUsedAt', 'expiresAt'])
  t.match(response.json(), { sessions: [{ sid: claimsOf(refreshToken).sid, label: 'Pixel 9', generation: 2, createdAt: time, lastUsedAt: time, expiresAt: time }] })
  await service.open({ userId: 77, deviceId: 'laptop' })
  t.same(new Set((await service.call('GET', '/internal/users/77/sessions')).json().sessions.map(({ label }: { label: string }) => label)), new Set([null, 'Pixel 9']))
})

t.test('revoking one session or all is idempotent', async t => {
  const { refreshToken } = await service.open({ userId: 78 })
  const other = await service.open({ userId: 78, deviceId: 'laptop' })
  for (let i = 0; i < 2; i++) {
    const response = await service.call('DELETE', `/internal/users/78/sessions/${claimsOf(refreshToken).sid}`)
    t.equal(response.statusCode, 204)
    t.equal(response.body, '')
  }
  t.equal((await service.refresh(refreshToken)).statusCode, 400)
  t.equal((await service.refresh(other.refreshToken, 'laptop')).statusCode, 200)
  for (let i = 0; i < 2; i++) t.equal((await service.call('DELETE', '/internal/users/78/sessions')).statusCode, 204)
  t.equal((await service.refresh(other.refreshToken, 'laptop')).statusCode, 400)
})

t.test('accepts a DELETE with a content type and no body', async t => {
  const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' }
  t.equal((await service.internal.inject({ method: 'DELETE', url: '/internal/users/1/sessions', headers })).statusCode, 204)
  t.equal((await service.internal.inject({ method: 'PATCH', url: '/internal/users/1', headers })).statusCode, 400)
})

t.test('the next refresh returns a changed profile', async t => {
  const { refreshToken } = await service.open({ userId: 79 })
  t.equal((await service.call('PATCH', '/internal/users/79', { role: 'ADMIN' })).statusCode, 204)
  t.match((await service.refresh(refreshToken)).json(), { email: guest.email, role: 'ADMIN' })
  for (const wrong of [{}, { x: 1 }, { role: 'admin' }, { email: 'x' }, { role: null }, [], undefined]) {
    t.equal((await service.call('PATCH', '/internal/users/79', wrong)).statusCode, 400)
  }
  const response = await service.call('PATCH', '/internal/users/80', { role: 'ADMIN' })
  t.equal(response.statusCode, 404)
  t.equal(response.body, '{"code":404,"message":"Not Found"}')
})

t.test('rejects paths without a user id or a valid session id', async t => {
  for (const id of ['0', '-1', '01', '%20', '9007199254740992', '99999999999999999999']) {
    t.equal((await service.call('GET', `/internal/users/${id}/sessions`)).statusCode, 400, id)
  }
  t.equal((await service.call('GET', '/internal/users/9007199254740991/sessions')).statusCode, 200)
  t.equal((await service.call('DELETE', '/internal/users/1/sessions/*')).statusCode, 400)
})

t.test('health needs no key; /readyz answers 200 until the service drains', async t => {
  t.equal((await service.internal.inject('/healthz')).statusCode, 200)
  t.equal((await service.internal.inject('/readyz')).statusCode, 200)
  service.health.draining = true
  const response = await service.internal.inject('/readyz')
  t.equal(response.statusCode, 503)
  t.same(response.json(), { status: 'draining' })
  t.equal((await service.internal.inject('/healthz')).statusCode, 200)
  service.health.draining = false
})

t.test('the internal listener has no refresh endpoint', async t => {
  t.equal((await service.internal.inject({ method: 'POST', url: '/api/ps/refresh' })).statusCode, 404)
})
