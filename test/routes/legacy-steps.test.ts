import t, { type Test } from 'tap'
import { sessionOptions } from '#src/config/options'
import { hashDevice, hashLegacyToken, importedSessionId } from '#src/redis/records'
import { createImporter } from '#src/sessions/imports'
import { build, claimsOf, guest, startRedis, topology, until, type PrivateRedis } from '../support/helper.ts'
import { startProxy } from '../support/proxy.ts'
import { audited, importLines, legacyToken, setupLegacy, type LegacyOptions } from '../support/moving.ts'

/** Imports and refreshes with legacy tokens that stop between their steps, run at once, or lose writes. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

const { deviceId } = guest

const setup = async (t: Test, options: LegacyOptions = {}): ReturnType<typeof setupLegacy> => await setupLegacy(t, redis, options)

t.test('a process that dies between the steps loses nothing and opens nothing twice', async t => {
  const { service, again, token, sid, value } = await setup(t)
  const { store } = service.public
  const before = await value()
  t.equal(await store.findImported(hashLegacyToken(token)), 1, 'dies after the look-up')
  t.equal(await value(), before)
  const rotation = await store.trade({ id: 1, sid, gen: 0, exp: 0 }, deviceId)
  t.match(rotation, { outcome: 'rotated' }, 'dies before it answers')
  const answer = (await again()).json()
  t.match(claimsOf(answer.refreshToken), { sid, gen: 1, iat: (rotation as any).session.generation.iat })
  t.equal((await store.list(1)).length, 1)
  t.equal(audited(service, 'session.opened').length, 1)
})

t.test('requests at once open one session', async t => {
  const { service, again } = await setup(t)
  const answers = await Promise.all(Array.from({ length: 16 }, async () => await again()))
  t.same(answers.map(({ statusCode }) => statusCode), Array(16).fill(200))
  t.equal(new Set(answers.map(answer => answer.json().refreshToken)).size, 1)
  t.equal(audited(service, 'session.opened').length, 1)
})

t.test('a failover that loses the opening logs nobody out', async t => {
  const { again, value, refresh, key, sid } = await setup(t, { line: { deviceId: null } })
  const before = await value()
  const { refreshToken } = (await again()).json()
  await redis.client.hset(key, `s:${sid}`, before!)
  t.equal((await refresh(refreshToken)).statusCode, 200)
  t.match(await value(), new RegExp(`^002:.*:${hashDevice(deviceId)}$`))
})

t.test('an import that dies between its steps is repeated', async t => {
  const service = await build(t, redis, { LEGACY_TOKENS: 'on' })
  const token = legacyToken()
  const name = hashLegacyToken(token)
  const importer = createImporter(redis.client, sessionOptions(service.config))
  const sid = importedSessionId(name)
  const session = { userId: 1, sid, gen: 0, device: hashDevice(deviceId), attempt: '-' }
  t.match(await importer.write(session), { result: 'imported' })
  t.match(await importer.write(session), { result: 'kept' })
  t.equal((await service.refresh(token)).statusCode, 400, 'no marker leads to it')
  t.match((await importLines(t, service, [{ userId: 1, legacyToken: token, deviceId }])).json, { imported: 0, alreadyImported: 1 })
  t.equal((await service.refresh(token)).statusCode, 200)
})

t.test('an import waits for replicas, before it remembers a session', async t => {
  const { service, value, sid } = await setup(t)
  const importer = createImporter(redis.client, sessionOptions(service.config), { replicas: 10, attempts: 0 })
  await redis.client.del(`${service.config.REDIS_PREFIX}1`)
  const session = { userId: 1, sid, gen: 0, device: '-', attempt: '-' }
  await t.rejects(importer.write(session), { code: 'RTS_NOT_REPLICATED' })
  t.ok(await value())
})

t.test('a legacy token is answered within a second while Redis hangs', { skip: topology !== 'single' && 'freezes the one server' }, async t => {
  const own = await startRedis(t)
  const service = await build(t, own, { LEGACY_TOKENS: 'on' })
  const token = legacyToken()
  await importLines(t, service, [{ userId: 1, legacyToken: token }])
  own.freeze()
  const startedAt = performance.now()
  t.equal((await service.refresh(token)).statusCode, 500)
  t.ok(performance.now() - startedAt < 1000)
  own.thaw()
  await until('the token is traded', async () => (await service.refresh(token)).statusCode === 200)
})

t.test('look-up and rotation together take less than the second of a request', { skip: topology === 'single' ? false : 'the proxy has one server' }, async t => {
  const proxy = await startProxy(t, new URL(redis.url).pathname)
  const { service, token, value } = await setup(t)
  const slow = await build(t, { ...redis, url: proxy.url }, { LEGACY_TOKENS: 'on', REDIS_PREFIX: service.config.REDIS_PREFIX })
  const before = await value()
  proxy.slow(400)
  t.equal((await slow.refresh(token)).statusCode, 500, 'the look-up alone has given up')
  t.equal(await value(), before)
})
