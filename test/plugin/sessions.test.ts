import type { Redis } from 'ioredis'
import t from 'tap'
import type { SessionEvent } from '#src/plugin/index'
import { claimsOf, startRedis, until, type PrivateRedis } from '../support/helper.ts'
import { appWith, clientOf, guest, LOGOUT, optionsWith, post, REFRESH } from './helper.ts'

/** `app.sessions`, and the hooks `claims` and `onEvent`. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

const { userId, deviceId } = guest

t.test('opens, refreshes, lists, changes and ends sessions', async t => {
  const app = await appWith(t, optionsWith(clientOf(t, redis), { routes: false }))
  const { sessions } = app
  const opened = await sessions.open({ ...guest, label: 'Pixel 9' })
  t.same(Object.keys(opened), ['id', 'email', 'role', 'token', 'refreshToken'])
  t.match(opened, { id: userId, email: guest.email, role: guest.role })
  const { sid } = claimsOf(opened.token)

  t.equal(await sessions.update(userId, { role: 'ADMIN' }), true)
  const refreshed = await sessions.refresh({ deviceId, refreshToken: opened.refreshToken })
  t.match(refreshed, { id: userId, role: 'ADMIN' })
  t.equal(claimsOf(refreshed.refreshToken).gen, 2)
  t.match(await sessions.list(userId), [{ sid, label: 'Pixel 9', generation: 2, createdAt: /^\d{4}-.*Z$/ }])

  const { token } = await sessions.open({ ...guest, deviceId: 'another' })
  t.same(await sessions.revokeAll(userId, { except: sid }), [claimsOf(token).sid])
  t.equal(await sessions.revoke(userId, sid), true)
  t.equal(await sessions.revoke(userId, sid), false)
  t.same(await sessions.revokeAll(userId), [])
  t.same(await sessions.list(userId), [])
  t.equal(await sessions.update(userId, { role: 'ADMIN' }), false)
})

t.test('a refused refresh has status 400 and its reason, and malformed arguments too', async t => {
  const { sessions } = await appWith(t, optionsWith(clientOf(t, redis)))
  const { refreshToken } = await sessions.open(guest)
  await t.rejects(sessions.refresh({ deviceId: 'x', refreshToken }), { name: 'RefreshRefused', statusCode: 400, outcome: 'device_mismatch' })
  await t.rejects(sessions.refresh({ deviceId, refreshToken: 'x.y.z' }), { name: 'RefreshRefused', statusCode: 400, outcome: 'forged' })
  for (const wrong of [{ deviceId }, { deviceId: 1, refreshToken }, undefined, { deviceId: ' ', refreshToken }]) {
    await t.rejects(sessions.refresh(wrong as never), { name: 'RefreshRefused', statusCode: 400, outcome: 'malformed' })
  }
})

t.test('wrong arguments are named, without their values, before Redis is asked', async t => {
  const client = clientOf(t, redis)
  const { sessions } = await appWith(t, optionsWith(client))
  const sent = sentBy(client)
  const wrong: Array<[Promise<unknown>, RegExp]> = [
    [sessions.open({ ...guest, userId: '12' } as never), /^open: userId must/],
    [sessions.open({ ...guest, role: 'secret-role' }), /^open: role must match/],
    [sessions.open({ ...guest, idleTtl: 10 ** 9 }), /^open: idleTtl must be <= 2592000/],
    [sessions.open({ ...guest, userClaims: { sid: 1 } }), /^open: userClaims must not contain the reserved name sid/],
    [sessions.open(undefined as never), /^open: the argument must be object/],
    [sessions.list(0), /^userId must be/],
    [sessions.revoke(userId, 'x'), /^sid: the argument must match/],
    [sessions.revokeAll(userId, { except: '' }), /^sid: the argument must match/],
    [sessions.revokeAll('1'), /^userId must be/],
    [sessions.update(userId, {}), /^update: the argument must/]
  ]
  for (const [promise, message] of wrong) {
    const err = await promise.then(() => undefined, err => err)
    t.match(err, { statusCode: 400, message })
    t.notMatch(err.message, 'secret-role')
  }
  t.same(sent, [])
})

t.test('verify accepts access tokens of live sessions, in both formats', async t => {
  for (const format of [{}, { accessTokenFormat: 'rfc9068', accessTokenAudience: ['api', 'other'] }] as const) {
    const { sessions } = await appWith(t, optionsWith(clientOf(t, redis), format))
    const { token, refreshToken } = await sessions.open({ ...guest, userClaims: { plan: 'gold' } })
    const { sid, exp } = claimsOf(token)
    const verified = await sessions.verify(token)
    t.match(verified, { id: userId, sid, email: guest.email, role: guest.role, claims: { plan: 'gold' }, expiresAt: exp })
    t.match(verified.payload, { plan: 'gold', iss: 'ktor.io' })
    const refused = { statusCode: 401, code: 'RTS_ACCESS_REFUSED' }
    for (const wrong of [refreshToken, `${token}x`, '', undefined]) await t.rejects(sessions.verify(wrong as never), refused)
    await sessions.revoke(userId, sid)
    await t.rejects(sessions.verify(token), refused)
  }
})

t.test('claims are computed for every access token and win over stored ones', async t => {
  const seen: unknown[] = []
  let more: object | null | string | undefined = { tenant: 'acme', plan: 'silver' }
  const app = await appWith(t, optionsWith(clientOf(t, redis), {
    claims: async session => {
      seen.push(session)
      return more as Record<string, unknown>
    }
  }))
  const opened = await app.sessions.open({ ...guest, userClaims: { plan: 'gold' } })
  const { sid } = claimsOf(opened.token)
  t.match(claimsOf(opened.token), { tenant: 'acme', plan: 'silver', id: userId })
  t.same(seen, [{ id: userId, sid, email: guest.email, role: guest.role, claims: { plan: 'gold' } }])
  t.match((await app.sessions.verify(opened.token)).payload, { tenant: 'acme' })

  for (const wrong of [{ sid: 'other' }, [], 'x', null]) {
    more = wrong
    t.match(await post(app, REFRESH, { deviceId, refreshToken: opened.refreshToken }), { statusCode: 500, body: '{"code":500,"message":"Internal Error"}' })
  }
  more = undefined
  const refreshed = await post(app, REFRESH, { deviceId, refreshToken: opened.refreshToken })
  t.match(claimsOf(refreshed.json().token), { plan: 'gold' }, 'the failures have not ended the session')
  t.notOk('tenant' in claimsOf(refreshed.json().token))
})

t.test('onEvent receives each event once, without a token, and its errors change no answer', async t => {
  const events: SessionEvent[] = []
  const app = await appWith(t, optionsWith(clientOf(t, redis), {
    onEvent: event => {
      events.push(event)
      if (event.type === 'opened') throw new Error('a bug')
      return Promise.reject(new Error('another')) as never
    }
  }))
  const first = await app.sessions.open(guest)
  const { sid } = claimsOf(first.token)
  const second = (await post(app, REFRESH, { deviceId, refreshToken: first.refreshToken })).json()
  await post(app, REFRESH, { deviceId, refreshToken: second.refreshToken })
  await post(app, REFRESH, { deviceId: 'x', refreshToken: second.refreshToken })
  t.equal((await post(app, REFRESH, { deviceId, refreshToken: first.refreshToken })).statusCode, 400)
  await post(app, REFRESH, { deviceId, refreshToken: 'forged' })
  const third = await app.sessions.open(guest)
  await post(app, LOGOUT, { deviceId, refreshToken: third.refreshToken })
  const of = { userId, sid }
  const last = { userId, sid: claimsOf(third.token).sid }
  t.same(events, [
    { type: 'opened', ...of },
    { type: 'refreshed', outcome: 'rotated', ...of },
    { type: 'refreshed', outcome: 'rotated', ...of },
    { type: 'refused', outcome: 'device_mismatch', ...of },
    { type: 'ended', reason: 'reuse', ...of },
    { type: 'refused', outcome: 'reused', ...of },
    { type: 'refused', outcome: 'forged' },
    { type: 'opened', ...last },
    { type: 'ended', reason: 'logout', ...last }
  ])
})

/** The commands that a client sends from now on. */
function sentBy (client: Redis): string[] {
  const sent: string[] = []
  const { sendCommand } = client
  client.sendCommand = (command, ...rest) => {
    sent.push(command.name)
    return sendCommand.call(client, command, ...rest)
  }
  return sent
}

t.test('a refresh is one round trip', async t => {
  const client = clientOf(t, redis)
  const app = await appWith(t, optionsWith(client, { claims: () => ({ plan: 'gold' }), onEvent: () => {} }))
  let { refreshToken } = await app.sessions.open(guest)
  const refresh = async (): Promise<void> => {
    ({ refreshToken } = (await post(app, REFRESH, { deviceId, refreshToken })).json())
  }
  await refresh()
  const sent = sentBy(client)
  await refresh()
  t.same(sent, ['evalsha'])
})

t.test('while Redis is away, answers are 500 and tokens work afterwards', async t => {
  const own = await startRedis(t)
  const client = clientOf(t, own)
  client.on('error', () => {})
  const app = await appWith(t, optionsWith(client))
  const { refreshToken, token } = await app.sessions.open(guest)
  own.freeze()
  t.match(await post(app, REFRESH, { deviceId, refreshToken }), { statusCode: 500, body: '{"code":500,"message":"Internal Error"}' })
  await t.rejects(app.sessions.verify(token), { statusCode: 500, code: 'RTS_STORE_UNAVAILABLE' })
  own.thaw()
  let last = 500
  await until('Redis is used again', async () => (last = (await post(app, REFRESH, { deviceId, refreshToken })).statusCode) !== 500)
  t.equal(last, 200)
  t.match(await app.sessions.verify(token), { id: userId })
})
