import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { build, environment, spawnService, startRedis, topology, until, type PrivateRedis, type Service } from '../support/helper.ts'

/** Two deployments on one Redis: a prefix has one issuer, also with simultaneous starts and failures of Redis. */

const newPrefix = (): string => `rt:${randomBytes(6).toString('hex')}:`

const refusal = (prefix: string, owner: string, issuer: string): RegExp =>
  new RegExp(`^REDIS_PREFIX ${prefix} belongs to the JWT_ISSUER ${owner}, not to ${issuer}: .* stop all replicas and run redis-cli DEL ${prefix}meta:issuer, or .*\\.$`)

async function builds (t: Test, redis: PrivateRedis, prefix: string, issuer: string, more: Record<string, string> = {}): Promise<Service> {
  return await build(t, redis, { REDIS_PREFIX: prefix, JWT_ISSUER: issuer, ...more })
}

async function untilReadyz ({ internal }: Service, status: number): Promise<void> {
  await until(`/readyz answers ${status}`, async () => (await internal.inject('/readyz')).statusCode === status)
}

t.test('a service with another issuer does not start on a prefix in use', async t => {
  const redis = await startRedis(t)
  const prefix = newPrefix()
  const one = await builds(t, redis, prefix, 'one')
  const { refreshToken } = await one.open({ email: 'ann@one.example' })
  await t.rejects(builds(t, redis, prefix, 'two'), { name: 'StartError', message: refusal(prefix, 'one', 'two') })
  t.equal((await one.refresh(refreshToken)).json().email, 'ann@one.example')
  await builds(t, redis, prefix, 'one')
  await builds(t, redis, newPrefix(), 'two')

  t.comment('an operator deletes the marker')
  await redis.client.del(`${prefix}meta:issuer`)
  await builds(t, redis, prefix, 'two')
})

t.test('the marker expires no sooner than the last session of its issuer', async t => {
  const redis = await startRedis(t)
  const prefix = newPrefix()
  const key = `${prefix}meta:issuer`
  const end = async (): Promise<number> => await redis.client.ttl(key)
  await builds(t, redis, prefix, 'one', { REFRESH_ABSOLUTE_TTL: '50000' })
  t.same(await redis.client.hgetall(key), { issuer: 'one' })
  t.ok(await end() > 40_000 && await end() <= 50_000)
  await builds(t, redis, prefix, 'one', { REFRESH_ABSOLUTE_TTL: '90000' })
  t.ok(await end() > 80_000)
  const { internal } = await builds(t, redis, prefix, 'one', { REFRESH_ABSOLUTE_TTL: '1000' })
  t.ok(await end() > 80_000)

  t.comment('a running replica writes it again')
  await redis.client.del(key)
  await internal.deployment.recheck()
  t.same(await redis.client.hgetall(key), { issuer: 'one' })
})

t.test('when replicas with different issuers start together, only the replicas of one issuer become ready', async t => {
  const redis = await startRedis(t)
  for (let round = 0; round < 3; round++) {
    const prefix = newPrefix()
    const issuers = ['one', 'two', 'one', 'two']
    const started = await Promise.allSettled(issuers.map(async issuer => await builds(t, redis, prefix, issuer)))
    const { issuer } = await redis.client.hgetall(`${prefix}meta:issuer`)
    // If Redis answers too late on a busy machine, a replica starts and learns of the other issuer afterwards.
    for (const [i, result] of started.entries()) {
      const expected = issuers[i] === issuer ? 200 : 503
      if (result.status === 'fulfilled') await untilReadyz(result.value, expected)
      else t.match([expected, result.reason], [503, { message: /^REDIS_PREFIX .* belongs to/ }], `round ${round}`)
    }
  }
})

t.test('a service starts without the marker while Redis refuses writes, and is not ready', async t => {
  const redis = await startRedis(t)
  const prefix = newPrefix()
  await redis.configure('maxmemory', '1')
  t.teardown(async () => await redis.configure('maxmemory', '0'))
  const one = await builds(t, redis, prefix, 'one')
  t.ok(one.log.some(({ level, msg }) => level === 40 && /^Redis would not say whether REDIS_PREFIX/.test(String(msg))))
  t.equal((await one.internal.inject('/readyz')).statusCode, 503)

  t.comment('it writes the marker as soon as Redis accepts writes')
  await redis.configure('maxmemory', '0')
  await untilReadyz(one, 200)
  await until('the marker is written', async () => (await redis.client.hget(`${prefix}meta:issuer`, 'issuer')) === 'one')

  t.comment('an existing marker is read while Redis refuses writes')
  await redis.configure('maxmemory', '1')
  await builds(t, redis, prefix, 'one')
  await t.rejects(builds(t, redis, prefix, 'two'), { message: refusal(prefix, 'one', 'two') })
})

t.test('a replica that started while Redis refused writes does not become ready when another issuer takes the prefix', async t => {
  const redis = await startRedis(t)
  const prefix = newPrefix()
  await redis.configure('maxmemory', '1')
  t.teardown(async () => await redis.configure('maxmemory', '0'))
  const two = await builds(t, redis, prefix, 'two')
  await redis.configure('maxmemory', '0')
  await builds(t, redis, prefix, 'one')
  await untilReadyz(two, 503)
  const complaints = (): unknown[] => two.log.filter(({ level }) => level === 50).map(({ msg }) => msg)
  for (let i = 0; i < 2; i++) await two.internal.deployment.recheck()
  t.match(complaints(), [refusal(prefix, 'one', 'two')])
  t.equal(complaints().length, 1, 'once')
})

t.test('a ready replica logs once when another issuer takes its prefix, and stays ready', async t => {
  const redis = await startRedis(t)
  const prefix = newPrefix()
  const key = `${prefix}meta:issuer`
  const one = await builds(t, redis, prefix, 'one')
  const complaints = (): number => one.log.filter(({ level }) => level === 50).length
  const { recheck } = one.internal.deployment
  await redis.client.hset(key, 'issuer', 'two')
  await recheck()
  await recheck()
  t.equal(complaints(), 1)
  t.equal((await one.internal.inject('/readyz')).statusCode, 200)
  await redis.client.hset(key, 'issuer', 'one')
  await recheck()
  await redis.client.hset(key, 'issuer', 'two')
  await recheck()
  t.equal(complaints(), 2)
})

t.test('the process of a refused start prints one sentence and exits with code 1', { skip: topology !== 'single' }, async t => {
  const redis = await startRedis(t)
  const prefix = newPrefix()
  await builds(t, redis, prefix, 'one')
  const { errors, exited } = spawnService(t, environment(redis.url, { REDIS_PREFIX: prefix, JWT_ISSUER: 'two' }))
  t.same(await exited, [1, null])
  t.match(errors, [refusal(prefix, 'one', 'two')])
  t.equal(errors.length, 1)
})
