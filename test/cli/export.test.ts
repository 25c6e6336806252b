import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { Writable } from 'node:stream'
import t from 'tap'
import { hashDevice, hashIdempotencyKey, hashLegacyToken, importedSessionId, newSessionId } from '#src/redis/records'
import { build, claimsOf, guest, startRedis, type PrivateRedis } from '../support/helper.ts'
import { cliEnv, exportLines, importLines, legacyToken } from '../support/moving.ts'
import { run, spawnCli } from './helper.ts'

/** `export` on a real Redis. test/proofs/moving moves random sessions. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

const sorted = (lines: object[]): string[] => lines.map(line => JSON.stringify(line)).sort()

t.test('writes the whole state of every live session, and no token', async t => {
  const service = await build(t, redis, { LEGACY_TOKENS: 'on', DPOP: 'optional', OAUTH_ISSUER: 'https://id.example.com' })
  const claims = { userClaims: { plan: 'gold' }, sessionClaims: { amr: ['pwd'] } }
  const jkt = randomBytes(32).toString('base64url')
  const plain = await service.open({ label: 'Pixel 9', idleTtl: 500, ...claims })
  const rotated = await service.refresh(plain.refreshToken, guest.deviceId, { 'idempotency-key': 'a' })
  const bound = await service.open({ userId: 'user_01', deviceId: undefined, email: undefined, role: undefined, clientId: 'app', jkt })
  const token = legacyToken()
  await importLines(t, service, [{ userId: 3, legacyToken: token }])
  const [one, two] = [claimsOf(rotated.json().refreshToken), claimsOf(bound.refreshToken)]
  await redis.client.hset(`${service.config.REDIS_PREFIX}1`, `s:${newSessionId()}`, '001:1:1:2:-')

  await redis.client.set(`${service.config.REDIS_PREFIX}77`, 'the key of another program')

  const { lines, json, text, failed } = await exportLines(service)
  t.same(json, { complete: true, sessions: 3, legacyTokens: 1, unreadable: 0 })
  t.equal(text, 'Exported 3 sessions and 1 legacy token.\n')
  t.notOk(failed)
  const of = (id: number | string): any[] => lines.filter(({ userId }) => userId === id)
  const { email, role } = guest
  t.same(of(1), [{
    userId: 1,
    email,
    role,
    label: 'Pixel 9',
    ...claims,
    session: {
      sid: one.sid,
      generation: 2,
      createdAt: claimsOf(plain.refreshToken).iat,
      lastUsedAt: one.iat,
      expiresAt: one.exp,
      device: hashDevice(guest.deviceId),
      idempotencyKey: hashIdempotencyKey('a'),
      idleTtl: 500
    }
  }])
  const session = { sid: two.sid, generation: 1, createdAt: two.iat, lastUsedAt: two.iat, expiresAt: two.exp }
  t.same(of('user_01'), [{ userId: 'user_01', clientId: 'app', jkt, session }])
  const sid = importedSessionId(hashLegacyToken(token))
  const [record, marker] = of(3).sort(a => 'session' in a ? -1 : 1)
  t.match(record, { userId: 3, session: { sid, generation: 0 } })
  t.same(marker, { userId: 3, legacyTokenHash: hashLegacyToken(token), expiresAt: record.session.expiresAt, sid })
  t.notMatch(JSON.stringify(lines), /eyJ[\w-]+\.[\w-]+\./)
})

t.test('the import of an export restores the records, and does so once', async t => {
  const from = await build(t, redis, { LEGACY_TOKENS: 'on' })
  const { REFRESH_TOKEN_SECRETS } = from.config
  const to = await build(t, redis, { LEGACY_TOKENS: 'on', REFRESH_TOKEN_SECRETS })
  const opened = await from.open()
  const before = await from.refresh(opened.refreshToken)
  const token = legacyToken()
  await importLines(t, from, [{ userId: 1, legacyToken: token, deviceId: 'laptop' }])
  const { lines } = await exportLines(from)
  t.match((await importLines(t, to, lines)).json, { lines: 3, imported: 3, alreadyImported: 0, rejected: 0 })
  t.same(sorted((await exportLines(to)).lines), sorted(lines))

  // A refresh at the earlier deployment after the export.
  const later = await from.refresh(before.json().refreshToken)
  t.equal((await to.refresh(later.json().refreshToken)).statusCode, 200)
  t.equal((await to.refresh(token, 'laptop')).statusCode, 200)

  await to.call('DELETE', '/internal/users/1/sessions')
  t.match((await importLines(t, to, lines)).json, { imported: 0, alreadyImported: 3, rejected: 0 })
  t.equal(await redis.client.hexists(`${to.config.REDIS_PREFIX}1`, `s:${claimsOf(opened.refreshToken).sid}`), 0, 'an ended session stays ended')
})

t.test('names damaged sessions, and exports the others', async t => {
  const service = await build(t, redis)
  await service.open()
  await redis.client.hset(`${service.config.REDIS_PREFIX}1`, `s:${newSessionId()}`, 'damaged')
  await redis.client.set(`${service.config.REDIS_PREFIX}2`, 'no hash')
  const { json, text, failed } = await exportLines(service)
  t.match(json, { sessions: 1, unreadable: 1 })
  t.equal(text, 'Exported 1 session and 0 legacy tokens; 1 session can\'t be read.\n')
  t.ok(failed)
})

t.test('writes lines to standard output, and the rest to standard error', async t => {
  const service = await build(t, redis)
  await service.open()
  const { code, stdout, stderr } = await spawnCli(t, ['export'], cliEnv(service)).ended
  t.match(JSON.parse(stdout), { userId: 1, session: { generation: 1 } })
  t.same([code, stderr], [0, 'Exported 1 session and 0 legacy tokens.\n'])
})

t.test('waits for a slow reader, and ends with it', async t => {
  const service = await build(t, redis)
  const lines = Array.from({ length: 3000 }, (_, i) => ({ userId: i + 1, legacyToken: legacyToken() }))
  await importLines(t, service, lines)
  let taken = 0
  const slow = new Writable({
    highWaterMark: 1,
    write (chunk: Buffer, _encoding, done) {
      taken += chunk.toString().split('\n').length - 1
      setImmediate(done)
    }
  })
  t.match((await run(['export'], cliEnv(service), { output: slow })).json, { complete: true, sessions: 3000, legacyTokens: 3000 })
  t.equal(taken, 6000)

  const { child, ended } = spawnCli(t, ['export'], cliEnv(service))
  await once(child.stdout!, 'readable')
  child.stdout!.destroy()
  const { code, stderr } = await ended
  t.equal(code, 0)
  const [, sessions] = /^Interrupted\. Exported ([\d,]+) sessions/.exec(stderr)!
  t.ok(Number(sessions!.replace(',', '')) < 3000, 'reads no further')
})

t.test('Ctrl-C ends it', async t => {
  const service = await build(t, redis)
  await importLines(t, service, Array.from({ length: 3000 }, (_, i) => ({ userId: i + 1, legacyToken: legacyToken() })))
  const interruption = new AbortController()
  const output = new Writable({
    write (_chunk, _encoding, done) {
      interruption.abort()
      done()
    }
  })
  const { json, text } = await run(['export'], cliEnv(service), { output, holdInterruption: () => interruption.signal })
  t.match(json, { complete: false })
  t.ok(json.sessions > 0 && json.sessions < 3000, `${json.sessions} sessions`)
  t.match(text, /^Interrupted\./)
})

t.test('ends when Redis refuses a read, because sessions would be missing', async t => {
  const own = await startRedis(t)
  const service = await build(t, own)
  await importLines(t, service, [{ userId: 1, legacyToken: legacyToken() }])
  await own.client.call('ACL', 'SETUSER', 'default', '-expiretime')
  await t.rejects(exportLines(service), { message: /NOPERM/ })
})
