import t from 'tap'
import { logoutOutcomes } from '#src/metrics/definitions'
import { build, claimsOf, guest, startRedis, type PrivateRedis, type Service, type TokensBody } from '../support/helper.ts'
import { scrape } from '../support/metrics-text.ts'

/** The log-out by a client: `POST /api/ps/logout`. */

const url = '/api/ps/logout'
const badRequest = '{"code":400,"message":"Bad Request"}'

let redis: PrivateRedis
let service: Service
t.before(async () => {
  redis = await startRedis(t)
  service = await build(t, redis, { REFRESH_RETRY_WINDOW: '0' })
})

/** Whether the user's list has the session. */
async function isLive ({ id, refreshToken }: TokensBody): Promise<boolean> {
  const { sid } = claimsOf(refreshToken)
  return (await service.call('GET', `/internal/users/${id}/sessions`)).json().sessions.some((session: { sid: string }) => session.sid === sid)
}

t.test('ends the session and no other, and is idempotent', async t => {
  const session = await service.open()
  const other = await service.open({ deviceId: 'laptop' })
  for (let i = 0; i < 2; i++) {
    const response = await service.logOut(session.refreshToken)
    t.equal(response.statusCode, 204)
    t.equal(response.body, '')
    t.equal(response.headers['cache-control'], 'no-store')
    t.notOk(response.headers['content-type'])
  }
  t.equal((await service.refresh(session.refreshToken)).body, badRequest)
  t.equal((await service.refresh(other.refreshToken, 'laptop')).statusCode, 200)
})

t.test('answers 204 when nothing is stored about the user', async t => {
  const { refreshToken } = await service.open({ userId: 2 })
  await service.call('DELETE', '/internal/users/2?erase')
  t.equal((await service.logOut(refreshToken)).statusCode, 204)
  t.equal(await redis.client.exists(`${service.config.REDIS_PREFIX}2`), 0, 'and stores nothing')
})

t.test('any token of the session ends it: the current one, a used one, one that Redis lost, and an expired one', async t => {
  for (const presented of [0, 1, 2]) {
    const session = await service.open()
    const tokens = [session.refreshToken]
    for (let i = 0; i < 2; i++) tokens.push((await service.refresh(tokens.at(-1)!)).json().refreshToken)
    t.equal((await service.logOut(tokens[presented]!)).statusCode, 204)
    t.notOk(await isLive(session), `generation ${presented + 1} of 3`)
  }

  const ahead = await service.open()
  const key = `${service.config.REDIS_PREFIX}1`
  const field = `s:${claimsOf(ahead.refreshToken).sid}`
  const first = (await redis.client.hget(key, field))!
  const newest = (await service.refresh(ahead.refreshToken)).json().refreshToken
  await redis.client.hset(key, field, first)
  t.equal((await service.logOut(newest)).statusCode, 204)
  t.notOk(await isLive(ahead), 'ahead of the record')

  const expired = await service.open()
  const past = `s:${claimsOf(expired.refreshToken).sid}`
  await redis.client.hset(key, past, first.replace(/:\d+:\d+:\d+:/, ':1:1:1:'))
  t.equal((await service.logOut(expired.refreshToken)).statusCode, 204)
  t.equal(await redis.client.hexists(key, past), 0, 'the expired session is removed')
})

t.test('a stolen token without the device ends nothing, and changes nothing', async t => {
  const session = await service.open()
  const key = `${service.config.REDIS_PREFIX}1`
  const before = await redis.client.hgetall(key)
  service.log.length = 0
  const response = await service.logOut(session.refreshToken, 'another')
  t.equal(response.statusCode, 400)
  t.equal(response.body, badRequest)
  t.equal(response.headers['cache-control'], 'no-store')
  t.same(await redis.client.hgetall(key), before)
  t.match(service.log.filter(({ outcome }) => outcome !== undefined),
    [{ msg: 'log-out refused', level: 20, outcome: 'device_mismatch', userId: 1, sid: claimsOf(session.refreshToken).sid }])
  t.equal((await service.refresh(session.refreshToken)).statusCode, 200)
})

t.test('a session without a device is not ended by any device', async t => {
  const session = await service.open({ deviceId: undefined })
  for (const deviceId of ['-', guest.deviceId]) {
    const response = await service.logOut(session.refreshToken, deviceId)
    t.equal(response.statusCode, 400)
    t.equal(response.body, badRequest)
  }
  t.ok(await isLive(session))
})

t.test('every malformed request and forged token gets the documented 400, and ends nothing', async t => {
  const session = await service.open()
  const { deviceId } = guest
  const { refreshToken, token } = session
  const headers = { 'content-type': 'application/json' }
  const requests: Record<string, { payload?: string | object, headers?: Record<string, string> }> = {
    'no body': { headers },
    'an empty object': { payload: {} },
    'no deviceId': { payload: { refreshToken } },
    'no refreshToken': { payload: { deviceId } },
    'a blank deviceId': { payload: { deviceId: ' ', refreshToken } },
    'a deviceId that is a number': { payload: { deviceId: 1, refreshToken } },
    'an empty token': { payload: { deviceId, refreshToken: '' } },
    'a token that is a list': { payload: { deviceId, refreshToken: [refreshToken] } },
    'a token of 4097 characters': { payload: { deviceId, refreshToken: 'x'.repeat(4097) } },
    'JSON cut short': { payload: JSON.stringify({ deviceId, refreshToken }).slice(0, -1), headers },
    'a body over the limit': { payload: { deviceId, refreshToken, more: 'x'.repeat(33 * 1024) } },
    'a form': { payload: `deviceId=x&refreshToken=${refreshToken}`, headers: { 'content-type': 'application/x-www-form-urlencoded' } },
    'a forged token': { payload: { deviceId, refreshToken: refreshToken.replace(/.$/, last => last === 'A' ? 'Q' : 'A') } },
    'an access token': { payload: { deviceId, refreshToken: token } }
  }
  for (const [what, request] of Object.entries(requests)) {
    const response = await service.public.inject({ method: 'POST', url, ...request })
    t.equal(response.statusCode, 400, what)
    t.equal(response.body, badRequest, what)
    t.equal(response.headers['cache-control'], 'no-store', what)
  }
  for (const [method, path] of [['GET', url], ['DELETE', url], ['POST', `${url}/x`]] as const) {
    t.equal((await service.public.inject({ method, url: path })).statusCode, 404, `${method} ${path}`)
  }
  t.equal((await service.internal.inject({ method: 'POST', url })).statusCode, 404, 'only on the public listener')
  t.equal((await service.logOut(refreshToken, deviceId)).statusCode, 204)
})

t.test('counts each log-out by outcome, and none as a refresh', async t => {
  const counts = async (name: string): Promise<Array<[string, number]>> => [...(await scrape(service.internal)).samples]
    .filter(([key]) => key.startsWith(`${name}{`)).map(([key, value]) => [/="(.*)"/.exec(key)![1]!, value])
  t.same((await counts('rts_logouts_total')).map(([outcome]) => outcome).sort(), [...logoutOutcomes].sort())
  const refreshes = await counts('rts_refresh_requests_total')
  const rises = async (expected: string, act: () => Promise<unknown>): Promise<void> => {
    const before = new Map(await counts('rts_logouts_total'))
    await act()
    const risen = (await counts('rts_logouts_total')).filter(([outcome, value]) => value !== before.get(outcome))
    t.same(risen, [[expected, before.get(expected)! + 1]])
  }
  const { refreshToken } = await service.open()
  await rises('device_mismatch', async () => await service.logOut(refreshToken, 'another'))
  await rises('ended', async () => await service.logOut(refreshToken))
  await rises('absent', async () => await service.logOut(refreshToken))
  await rises('forged', async () => await service.logOut('x.y.z'))
  await rises('malformed', async () => await service.logOut(''))
  await rises('malformed', async () => await service.public.inject({ method: 'POST', url: `${url}/`, payload: 'x' }))
  t.same(await counts('rts_refresh_requests_total'), refreshes)
})

t.test('a log-out that races with refreshes ends the session', async t => {
  for (let i = 0; i < 20; i++) {
    const session = await service.open()
    const second = (await service.refresh(session.refreshToken)).json().refreshToken
    const early = i % 2 === 0 ? service.refresh(second) : undefined
    const loggedOut = service.logOut(session.refreshToken)
    const refreshed = await (early ?? service.refresh(second))
    t.equal((await loggedOut).statusCode, 204)
    const newest = refreshed.statusCode === 200 ? refreshed.json().refreshToken : second
    t.equal((await service.refresh(newest)).statusCode, 400)
  }
})
