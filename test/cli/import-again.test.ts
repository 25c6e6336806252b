import t from 'tap'
import { createBatch, type Totals } from '#src/cli/moving/batch'
import { loadStoreConfig } from '#src/config/environment'
import { sessionOptions } from '#src/config/options'
import { importedKey, hashLegacyToken } from '#src/redis/records'
import { createImporter, type Importer } from '#src/sessions/imports'
import { build, claimsOf, guest, startRedis, type PrivateRedis, type Service } from '../support/helper.ts'
import { cliEnv, importLines, legacyToken } from '../support/moving.ts'

/** Imports that meet a known user: sessions of an earlier import, of another one at the same time, or of log-ins. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

t.test('an import that stopped before the marker is repeated, and leaves the session unchanged', async t => {
  const service = await build(t, redis, { LEGACY_TOKENS: 'on', REFRESH_RETRY_WINDOW: '0' })
  const token = legacyToken()
  const lines = [{ ...guest, legacyToken: token }]
  await importLines(t, service, lines)
  const { refreshToken } = (await service.refresh(token)).json()
  const key = `${service.config.REDIS_PREFIX}1`
  const before = await redis.client.hgetall(key)
  await redis.client.del(importedKey(service.config.REDIS_PREFIX, hashLegacyToken(token)))
  t.match((await importLines(t, service, lines)).json, { imported: 0, alreadyImported: 1 })
  t.same(await redis.client.hgetall(key), before)
  t.equal((await service.refresh(refreshToken)).statusCode, 200)
})

/** An import whose look-ups find nothing, as if the other import had written nothing yet. */
function importBeside (service: Service): { run: ReturnType<typeof createBatch>, totals: Totals } {
  const config = loadStoreConfig(cliEnv(service), 'REFRESH_IDLE_TTL', 'REFRESH_ABSOLUTE_TTL', 'MAX_SESSIONS_PER_USER')
  const importer: Importer = { ...createImporter(redis.client, sessionOptions(config)), find: async () => undefined }
  const totals = { lines: 0, imported: 0, alreadyImported: 0, expired: 0 }
  return { run: createBatch(config, importer, totals, false), totals }
}

t.test('when two imports at the same time give one token to two users, the second rejects its line', async t => {
  const service = await build(t, redis, { LEGACY_TOKENS: 'on' })
  const token = legacyToken()
  await importLines(t, service, [{ userId: 1, legacyToken: token }])
  const { run, totals } = importBeside(service)
  t.match(await run([{ number: 7, text: JSON.stringify({ userId: 2, legacyToken: token }), bytes: 0 }]), [
    { line: 7, userId: 2, reason: 'the legacy token or the session was imported for another user' }
  ])
  t.match(totals, { imported: 0, alreadyImported: 0 })
  t.equal((await service.refresh(token)).json().id, 1)
})

t.test('keeps the profile of a known user', async t => {
  const service = await build(t, redis, { LEGACY_TOKENS: 'on' })
  await service.open()
  const token = legacyToken()
  await importLines(t, service, [{ userId: 1, legacyToken: token, email: 'old@example.com', role: 'OLD', deviceId: 'laptop' }])
  t.match((await service.refresh(token, 'laptop')).json(), { email: guest.email, role: guest.role })
})

t.test('the profile of a user whose sessions have expired comes from the line', async t => {
  const service = await build(t, redis, { LEGACY_TOKENS: 'on' })
  const { token } = await service.open({ email: 'old@example.com' })
  const key = `${service.config.REDIS_PREFIX}1`
  await redis.client.hset(key, `s:${claimsOf(token).sid}`, '001:1:1:2:-')
  const legacy = legacyToken()
  await importLines(t, service, [{ ...guest, legacyToken: legacy }])
  t.match((await service.refresh(legacy)).json(), { email: guest.email })
})

t.test('an import gives up when Redis stays away', async t => {
  const own = await startRedis(t)
  const { config } = await build(t, own)
  const importer = createImporter(own.client, sessionOptions(config), { attempts: 1 })
  await own.kill()
  await t.rejects(importer.find('a'), { code: 'RTS_STORE_UNAVAILABLE' })
})
