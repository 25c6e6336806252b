import t from 'tap'
import { build, guest, startRedis, until, type PrivateRedis, type Service } from '../support/helper.ts'
import { overRate } from '../support/over-rate.ts'

/** Log-outs by clients have the protection of refreshes, and the same answers to failures. */

const internalError = '{"code":500,"message":"Internal Error"}'
const tooMany = '{"code":429,"message":"Too Many Requests"}'

async function healed (service: Service): Promise<void> {
  await until('the replica is ready again', async () => (await service.internal.inject('/readyz')).statusCode === 200)
}

for (const [how, begin, end] of [
  ['frozen', (redis: PrivateRedis) => redis.freeze(), (redis: PrivateRedis) => redis.thaw()],
  ['killed', async (redis: PrivateRedis) => await redis.kill(), async (redis: PrivateRedis) => await redis.start()]
] as const) {
  t.test(`while Redis is ${how}, a log-out answers 500 and never takes effect later; the repeated one ends the session`, async t => {
    const redis = await startRedis(t)
    const service = await build(t, redis)
    const { refreshToken } = await service.open()
    await begin(redis)
    const answers = await Promise.all(Array.from({ length: 20 }, async () => await service.logOut(refreshToken)))
    t.same(new Set(answers.map(({ body }) => body)), new Set([internalError]))
    t.ok(answers.every(({ headers }) => headers['cache-control'] === 'no-store'))
    t.equal(service.metrics.logouts.unavailable, 20)
    t.ok(service.log.filter(({ msg, surface }) => msg === 'request failed' && surface === 'public').length < 20, 'not a line for each')
    await end(redis)
    await healed(service)
    const second = (await service.refresh(refreshToken)).json().refreshToken
    t.equal((await service.logOut(second)).statusCode, 204)
    t.equal((await service.refresh(second)).statusCode, 400)
  })
}

t.test('log-outs work while Redis is out of memory', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis)
  const { refreshToken } = await service.open()
  await redis.configure('maxmemory', '1')
  t.equal((await service.refresh(refreshToken)).statusCode, 500)
  t.equal((await service.logOut(refreshToken)).statusCode, 204)
  t.equal((await service.call('DELETE', '/internal/users/1?erase')).statusCode, 204)
  await redis.configure('maxmemory', '0')
  await healed(service)
  t.equal((await service.refresh(refreshToken)).statusCode, 400)
})

t.test('log-outs count in MAX_REFRESHES_IN_FLIGHT, and are shed above it', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis, { MAX_REFRESHES_IN_FLIGHT: '1' })
  const { refreshToken } = await service.open()
  const { concurrencyLimit } = service.public
  redis.freeze()
  const waiting = service.logOut(refreshToken)
  await until('the log-out waits for Redis', () => concurrencyLimit.refusal() !== undefined)
  t.match(await service.logOut(refreshToken), { statusCode: 500, body: internalError, headers: { 'retry-after': '1' } })
  t.equal((await waiting).statusCode, 500)
  redis.thaw()
  await healed(service)
  t.equal(concurrencyLimit.refusal(), undefined)
  t.equal((await service.logOut(refreshToken)).statusCode, 204)
  t.equal(concurrencyLimit.refusal(), undefined)
  t.match(service.metrics.logouts, { overloaded: 1, unavailable: 1, ended: 1 })
})

t.test('a session\'s limit counts log-outs and refreshes together, and a thief without the device separately', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis, { RATE_LIMIT_PER_SESSION: '3/60' })
  const { refreshToken } = await service.open()
  for (let i = 0; i < 5; i++) t.equal((await service.logOut('forged')).statusCode, 400)
  await until('the thief is over the limit', async () => (await service.logOut(refreshToken, 'stolen')).statusCode === 429)
  let newest = refreshToken
  for (let i = 0; i < 3; i++) newest = (await service.refresh(newest)).json().refreshToken
  // A time-out of the count admits a log-out, which ends the session.
  let admitted = 0
  const limited = await overRate(async () => {
    const answer = await service.logOut(newest)
    if (answer.statusCode === 204) admitted++
    return answer
  })
  t.match(limited, { statusCode: 429, body: tooMany, headers: { 'retry-after': /^\d+$/, 'cache-control': 'no-store' } })
  t.equal((await service.call('GET', '/internal/users/1/sessions')).json().sessions.length, admitted === 0 ? 1 : 0)
  t.ok(service.metrics.logouts.limited >= 2)
  t.equal(service.metrics.refreshes.limited, 0)
})

t.test('an address\'s limit counts log-outs', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis, { RATE_LIMIT_PER_ADDRESS: '2/60' })
  for (let i = 0; i < 2; i++) t.equal((await service.logOut('forged')).statusCode, 400)
  t.equal((await overRate(async () => await service.logOut('forged'))).statusCode, 429)
})

t.test('pages of allowed origins can log out', async t => {
  const origin = 'https://app.example.com'
  const service = await build(t, await startRedis(t), { NODE_ENV: 'production', CORS_ORIGINS: origin })
  const { refreshToken } = await service.open()
  const asked = await service.public.inject({
    method: 'OPTIONS',
    url: '/api/ps/logout',
    headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' }
  })
  t.match(asked, { statusCode: 204, headers: { 'access-control-allow-origin': origin } })
  const payload = { deviceId: guest.deviceId, refreshToken }
  const answered = await service.public.inject({ method: 'POST', url: '/api/ps/logout', headers: { origin }, payload })
  t.match(answered, { statusCode: 204, headers: { 'access-control-allow-origin': origin } })
})
