import { randomBytes } from 'node:crypto'
import { decodeProtectedHeader } from 'jose'
import t, { type Test } from 'tap'
import { environment, build, privateKey, secret, startRedis, startService, topology, type PrivateRedis, type Service } from '../support/helper.ts'

/** Replicas warn about each other's unknown keys; a rotation as in docs/keys.md causes no warning. */

const WARNING = /^other replicas sign with keys that this one does not know/

interface Keys { ACCESS_TOKEN_SECRETS: string, REFRESH_TOKEN_SECRETS: string, ACCESS_TOKEN_PRIVATE_KEYS?: string }

const newPrefix = (): string => `rt:${randomBytes(6).toString('hex')}:`

const newKeys = (): Keys => ({ ACCESS_TOKEN_SECRETS: secret(), REFRESH_TOKEN_SECRETS: secret() })

const replica = async (t: Test, redis: PrivateRedis, prefix: string, keys: Keys): Promise<Service> =>
  await build(t, redis, { REDIS_PREFIX: prefix, ...keys })

const warnings = ({ log }: Service): unknown[] => log.filter(({ msg }) => WARNING.test(String(msg))).map(({ keys }) => keys)

const look = async (...services: Service[]): Promise<void> => {
  for (const { internal } of services) await internal.deployment.recheck()
}

/** The names of the keys that sign the tokens of a service. */
async function signers (service: Service): Promise<string[]> {
  const { token, refreshToken } = await service.open()
  return [`access:${decodeProtectedHeader(token).kid}`, `refresh:${decodeProtectedHeader(refreshToken).kid}`]
}

const gauge = async ({ internal }: Service): Promise<string> =>
  /^rts_unknown_signing_keys (\d+)$/m.exec((await internal.inject('/metrics')).body)![1]!

t.test('replicas with different secrets warn once, and log when the difference ends', async t => {
  const redis = await startRedis(t)
  const prefix = newPrefix()
  const one = await replica(t, redis, prefix, newKeys())
  const other = await replica(t, redis, prefix, newKeys())
  t.same(warnings(one), [])
  t.same(warnings(other), [await signers(one)], 'the second replica warns at its start')
  await look(one, one, other)
  t.same(warnings(one), [await signers(other)])
  t.equal(warnings(other).length, 1)
  t.same([await gauge(one), await gauge(other)], ['2', '2'])

  t.comment('a third replica')
  const third = await replica(t, redis, prefix, newKeys())
  await look(one)
  t.same(warnings(one)[1], [...await signers(other), ...await signers(third)].sort())

  t.comment('the other replicas end')
  await other.internal.close()
  await third.internal.close()
  await look(one)
  t.equal(warnings(one).length, 2)
  t.match(one.log.filter(({ level }) => level === 30).at(-1), { msg: 'every key that other replicas sign with is known here' })
  t.equal(await gauge(one), '0')
})

t.test('Redis holds the key ids of running replicas and drops them when the replicas end', async t => {
  const redis = await startRedis(t)
  const prefix = newPrefix()
  const key = `${prefix}meta:keys`
  const keys = { ...newKeys(), ACCESS_TOKEN_PRIVATE_KEYS: privateKey('EdDSA') }
  const one = await replica(t, redis, prefix, keys)
  const two = await replica(t, redis, prefix, keys)
  t.same(Object.keys(await redis.client.hgetall(key)).sort(), await signers(one))
  const ttl = await redis.client.ttl(key)
  t.ok(ttl > 100 && ttl <= 180, `expires in ${ttl} s`)

  t.comment('removes entries whose time is old, in the future or invalid, but no foreign entries')
  const [now] = await redis.client.time()
  await redis.client.hset(key, { 'refresh:old': Number(now) - 180, 'refresh:ahead': Number(now) + 200, 'refresh:none': 'x', 'other:kind': now })
  await look(one)
  t.same(Object.keys(await redis.client.hgetall(key)).sort(), [...await signers(one), 'other:kind'].sort())
  t.same(warnings(one), [])

  t.comment('keys stay until the last replica that signs with them ends')
  await two.internal.close()
  await look(one)
  t.same(Object.keys(await redis.client.hgetall(key)).sort(), [...await signers(one), 'other:kind'].sort())
  await one.internal.close()
  t.same(await redis.client.hgetall(key), { 'other:kind': now })
})

t.test('rotating keys as docs/keys.md says causes no warning', async t => {
  const redis = await startRedis(t)
  const prefix = newPrefix()
  const [access, refresh, next] = [secret(), secret(), secret()]
  const pem = privateKey('EdDSA')
  const step = (refreshSecrets: string, accessSecrets: string, keys: string): Keys =>
    ({ REFRESH_TOKEN_SECRETS: refreshSecrets, ACCESS_TOKEN_SECRETS: accessSecrets, ACCESS_TOKEN_PRIVATE_KEYS: keys })
  const steps = [
    step(refresh, access, ''),
    step(`${refresh},${next}`, access, `HS512,${pem}`),
    step(`${next},${refresh}`, access, pem),
    step(next, '', pem)
  ]
  const replicas: Service[] = []
  const all: Service[] = []
  for (const keys of steps) {
    for (let i = 0; i < 2; i++) {
      // Replaces one replica while the other one runs.
      if (replicas.length === 2) await replicas.shift()!.internal.close()
      replicas.push(await replica(t, redis, prefix, keys))
      all.push(replicas.at(-1)!)
      await look(...replicas)
    }
  }
  t.same(all.flatMap(warnings), [])

  t.comment('a new key that signs at once, against docs/keys.md')
  const hasty = await replica(t, redis, prefix, step(`${secret()},${next}`, '', pem))
  await look(...replicas)
  const [, signer] = await signers(hasty)
  t.same(replicas.map(warnings), [[[signer]], [[signer]]])
})

t.test('a frozen Redis causes no error in the log', { skip: topology !== 'single' }, async t => {
  const redis = await startRedis(t)
  const one = await replica(t, redis, newPrefix(), newKeys())
  redis.freeze()
  await look(one)
  t.comment('closing does not wait for Redis')
  await one.internal.close()
  redis.thaw()
  t.same(one.log.filter(({ level }) => Number(level) > 40), [])
})

t.test('processes with different keys warn, and remove their keys when they end', { skip: topology !== 'single' }, async t => {
  const redis = await startRedis(t)
  const env = environment(redis.url, { LOG_LEVEL: 'info' })
  const [one, alike] = await Promise.all([startService(t, env), startService(t, env)])
  const other = await startService(t, { ...env, ...newKeys() })
  const { keys } = JSON.parse(await other.line('other replicas sign with keys'))
  t.equal(keys.length, 2)
  t.match(await (await fetch(`${other.internalUrl}/metrics`)).text(), /^rts_unknown_signing_keys 2$/m)
  t.notOk([...one.lines, ...alike.lines].some(line => line.includes('other replicas sign')), 'running replicas warn at their next check, a minute later')
  for (const { child, exited } of [other, one, alike]) {
    child.kill('SIGTERM')
    t.same(await exited, [0, null])
  }
  t.same(await redis.client.hgetall(`${env.REDIS_PREFIX}meta:keys`), {})
})
