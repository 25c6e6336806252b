import { createHash } from 'node:crypto'
import { readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t from 'tap'
import { MAX_LINE, readLines } from '#src/cli/moving/lines'
import { build, recordKeys, startRedis, tempFolder, until, type PrivateRedis } from '../support/helper.ts'
import { cliEnv, importLines, legacyToken } from '../support/moving.ts'
import { cli, run, spawnCli } from './helper.ts'

/** `import` on a real Redis. test/routes/legacy-tokens.test.ts has the tokens of imported sessions. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

const hash = (token: string, encoding: 'hex' | 'base64url'): string => createHash('sha256').update(token).digest(encoding)

const rejectionsOf = async (path: string): Promise<any[]> => (await readFile(path, 'utf8')).trim().split('\n').map(line => JSON.parse(line))

t.test('imports tokens and their hashes, twice with the same result', async t => {
  const service = await build(t, redis, { LEGACY_TOKENS: 'on' })
  const tokens = [legacyToken(), legacyToken(), legacyToken()] as const
  const lines = [
    { userId: 1, legacyToken: tokens[0], email: null },
    '',
    { userId: 'user_01', legacyTokenHash: hash(tokens[1], 'hex') },
    { userId: 3, legacyTokenHash: hash(tokens[2], 'base64url') },
    { userId: 3, legacyToken: tokens[2] }
  ]
  const first = await importLines(t, service, lines)
  t.same(first.json, {
    complete: true, dryRun: false, lines: 4, imported: 3, alreadyImported: 1, expired: 0, rejected: 0, rejectedFile: null
  })
  t.equal(first.text, '4 lines: imported 3 sessions, 1 imported before, 0 expired, 0 rejected\n')
  t.notOk(first.failed)
  await t.rejects(stat(`${first.path}.rejected.ndjson`), { code: 'ENOENT' })
  const answers = await Promise.all(tokens.map(async token => (await service.refresh(token)).json().id))
  t.same(answers, [1, 'user_01', 3])
  t.match((await importLines(t, service, lines)).json, { imported: 0, alreadyImported: 4 })
})

t.test('rejects bad lines with a reason and without their content, and imports the others', async t => {
  const service = await build(t, redis, { MAX_SESSIONS_PER_USER: '2', REFRESH_ABSOLUTE_TTL: '1000' })
  const now = Math.floor(Date.now() / 1000)
  const { refreshToken } = await service.open({ userId: 9 })
  const token = legacyToken()
  const secret = legacyToken()
  const wrong: Array<[line: object | string, reason: string]> = [
    [`{"userId":1,"legacyToken":"${secret}"`, 'it is no JSON'],
    [`"${secret}"`, 'it is no JSON object'],
    [{ userId: 1 }, 'it must have one of legacyToken, legacyTokenHash and session'],
    [{ userId: 1, legacyToken: secret, legacyTokenHash: hash(secret, 'hex') }, 'it must have one of legacyToken, legacyTokenHash and session'],
    [{ legacyToken: secret }, 'it must have required property \'userId\''],
    [{ userId: '1', legacyToken: secret }, 'userId must match pattern'],
    [{ userId: 1, legacyToken: secret, role: secret }, 'role must match pattern'],
    [{ userId: 1, legacyToken: secret, userClaims: { sub: secret } }, 'userClaims must not contain the reserved name sub'],
    [{ userId: 1, legacyTokenHash: secret.slice(1) }, 'legacyTokenHash must match pattern'],
    [{ userId: 1, legacyToken: secret, [secret]: 1 }, 'it has an unknown member'],
    [{ userId: 1, legacyToken: refreshToken }, 'legacyToken is a token of this service'],
    [{ userId: 1, legacyToken: secret, createdAt: now * 1000 }, 'createdAt must be <= 9999999999'],
    [{ userId: 1, legacyToken: secret, createdAt: now + 500 }, 'createdAt is in the future'],
    [{ userId: 1, legacyToken: secret, createdAt: now - 2000 }, 'createdAt is longer ago than REFRESH_ABSOLUTE_TTL'],
    [{ userId: 2, legacyToken: token }, 'the legacy token or the session was imported for another user'],
    [{ userId: 1, legacyToken: legacyToken() }, ''],
    [{ userId: 1, legacyToken: secret }, 'the user has MAX_SESSIONS_PER_USER sessions'],
    [{ userId: 1, legacyTokenHash: hash(secret, 'hex'), sid: 'a'.repeat(22) }, 'expiresAt must be present beside sid'],
    [{ userId: 1, deviceId: 'd', session: { sid: 'a'.repeat(22), generation: 1, createdAt: now, lastUsedAt: now, expiresAt: now + 9 } }, 'deviceId must be absent beside session'],
    [{ userId: 1, session: { sid: 'a', generation: 1, createdAt: now, lastUsedAt: now, expiresAt: now + 9 } }, 'session/sid must match pattern'],
    ['x'.repeat(MAX_LINE + 1), 'it is longer than 65536 bytes']
  ]
  const { json, text, failed, path } = await importLines(t, service, [{ userId: 1, legacyToken: token }, ...wrong.map(([line]) => line)])
  const rejected = wrong.filter(([, reason]) => reason !== '')
  t.match(json, { lines: wrong.length + 1, imported: 2, rejected: rejected.length, rejectedFile: `${path}.rejected.ndjson` })
  t.ok(failed)
  t.match(text, `${rejected.length} rejected\nReasons: ${path}.rejected.ndjson\n`)
  const reasons = await rejectionsOf(json.rejectedFile)
  t.same(reasons.map(({ line }) => line), wrong.flatMap(([, reason], i) => reason === '' ? [] : [i + 2]))
  for (const [i, [, reason]] of rejected.entries()) t.ok(reasons[i].reason.startsWith(reason), reasons[i].reason)
  t.notMatch(await readFile(json.rejectedFile, 'utf8'), secret)
  t.equal((await stat(json.rejectedFile)).mode & 0o777, 0o600)
  t.equal((await redis.client.exists(`${service.config.REDIS_PREFIX}2`)), 0)
})

t.test('a damaged record rejects only its own lines', async t => {
  const service = await build(t, redis)
  await redis.client.set(`${service.config.REDIS_PREFIX}1`, 'no hash')
  const { json } = await importLines(t, service, [{ userId: 1, legacyToken: legacyToken() }, { userId: 2, legacyToken: legacyToken() }])
  t.match(json, { imported: 1, rejected: 1 })
  t.same(await rejectionsOf(json.rejectedFile), [{ line: 1, userId: 1, reason: 'the record of the user is damaged' }])
})

t.test('an expired session is skipped, not rejected', async t => {
  const service = await build(t, redis)
  const expiresAt = Math.floor(Date.now() / 1000) - 1
  const { json, failed } = await importLines(t, service, [{ userId: 1, legacyToken: legacyToken(), expiresAt }])
  t.match(json, { imported: 0, expired: 1, rejected: 0 })
  t.notOk(failed)
})

t.test('a user who logged out everywhere since createdAt is not logged in again', async t => {
  const service = await build(t, redis)
  const createdAt = Math.floor(Date.now() / 1000) - 5
  await service.call('DELETE', '/internal/users/1/sessions')
  const lines = [
    { userId: 1, legacyToken: legacyToken(), createdAt }, { userId: 1, legacyToken: legacyToken() },
    { userId: 2, legacyToken: legacyToken(), createdAt }
  ]
  const { json } = await importLines(t, service, lines)
  t.match(json, { imported: 2, rejected: 1 }, 'the log-out of one user does not concern the next line')
  t.match(await rejectionsOf(json.rejectedFile), [{ line: 1, userId: 1, reason: 'the user has logged out everywhere since createdAt' }])
})

t.test('--dry-run writes nothing', async t => {
  const service = await build(t, redis)
  const before = await redis.client.dbsize()
  const lines = [{ userId: 1, legacyToken: legacyToken() }, { userId: 0 }, { userId: 1, legacyToken: legacyToken(), expiresAt: 1 }]
  const { json, text } = await importLines(t, service, lines, '--dry-run')
  t.match(json, { dryRun: true, imported: 1, expired: 1, rejected: 1 })
  t.match(text, 'would import 1 session')
  t.equal(await redis.client.dbsize(), before)
})

t.test('reads standard input, and names the file of rejected lines', async t => {
  const service = await build(t, redis)
  const rejected = join(await tempFolder(t), 'bad.ndjson')
  const { child, ended } = spawnCli(t, ['import', '-', '--rejected', rejected, '--json'], cliEnv(service), ['pipe', 'pipe', 'pipe'])
  child.stdin!.end(`${JSON.stringify({ userId: 1, legacyToken: legacyToken() })}\nno`)
  t.match(await ended, { code: 1, stderr: '', json: { lines: 2, imported: 1, rejected: 1, rejectedFile: rejected } })
  t.same(await rejectionsOf(rejected), [{ line: 2, reason: 'it is no JSON' }])
})

t.test('a device that takes the rejected lines is not removed', async t => {
  const service = await build(t, redis)
  const rejected = join(await tempFolder(t), 'null')
  await symlink('/dev/null', rejected)
  await importLines(t, service, [{ userId: 1, legacyToken: legacyToken() }], '--rejected', rejected)
  t.ok((await stat(rejected)).isCharacterDevice())
})

t.test('without a rejected line the exit code is 0', async t => {
  const service = await build(t, redis)
  const path = join(await tempFolder(t), 'sessions.ndjson')
  await writeFile(path, JSON.stringify({ userId: 1, legacyToken: legacyToken() }))
  t.match(await cli(t, ['import', path], cliEnv(service)), { code: 0, stderr: '', stdout: /^1 line: imported 1 session,/ })
})

t.test('wrong files are reported', async t => {
  const service = await build(t, redis)
  const path = join(await tempFolder(t), 'sessions.ndjson')
  await t.rejects(run(['import', path], cliEnv(service)), { message: /^ENOENT: no such file or directory/ })
  await writeFile(path, '')
  await t.rejects(run(['import', path, '--rejected', path], cliEnv(service)), { message: /^The file of --rejected must be another file than the input\./ })
  await t.rejects(run(['import', path, '--rejected', `${path}/a`], cliEnv(service)), { message: /^ENOTDIR/ })
  t.match((await run(['import', path], cliEnv(service))).json, { lines: 0, imported: 0 })
  await t.rejects(run(['stats', '--dry-run'], cliEnv(service)), { message: /^The verb stats has no --dry-run\./ })
  await t.rejects(run(['export', '--rejected', 'a'], cliEnv(service)), { message: /^The verb export has no --rejected\./ })
})

t.test('Ctrl-C ends it after the lines under way; a second import continues', async t => {
  const service = await build(t, redis)
  const controller = new AbortController()
  const lines = Array.from({ length: 1200 }, (_, i) => `${JSON.stringify({ userId: i + 1, legacyToken: legacyToken() })}\n`)
  async function * input (): AsyncGenerator<Buffer> {
    for (const [i, line] of lines.entries()) {
      if (i === 600) controller.abort()
      yield Buffer.from(line)
    }
  }
  const rejected = join(await tempFolder(t), 'bad.ndjson')
  const argv = ['import', '-', '--rejected', rejected]
  const { json, text } = await run(argv, cliEnv(service), { input: input(), holdInterruption: () => controller.signal })
  t.match(json, { complete: false, imported: 500 })
  t.match(text, /^Interrupted: import the file again/)
  const again = await run(argv, cliEnv(service), { input: Readable.from(lines.map(line => Buffer.from(line))) })
  t.match(again.json, { imported: 700, alreadyImported: 500 })
})

t.test('shows rate and remaining time on a terminal', async t => {
  const service = await build(t, redis)
  const written: string[] = []
  const terminal = { isTTY: true, columns: 80, write: (text: string) => written.push(text) }
  const path = join(await tempFolder(t), 'sessions.ndjson')
  await writeFile(path, `${JSON.stringify({ userId: 1, legacyToken: legacyToken() })}\n`.repeat(1500))
  await run(['import', path], cliEnv(service), { terminal })
  t.match(written[0], /\[#+-+\] {2}33 % {2}500 lines {2}[\d,]+\/s {2}\d+:\d\d left/)
  t.equal(written.at(-1), '\r\u001b[K')
  written.length = 0
  const input = Readable.from([await readFile(path)])
  await run(['import', '-', '--rejected', `${path}.bad`], cliEnv(service), { terminal, input })
  t.match(written[0], /K500 lines {2}[\d,]+\/s$/)
})

t.test('goes on after Redis was away', async t => {
  const own = await startRedis(t)
  const service = await build(t, own)
  const path = join(await tempFolder(t), 'sessions.ndjson')
  await writeFile(path, Array.from({ length: 20_000 }, (_, i) => `${JSON.stringify({ userId: i + 1, legacyToken: legacyToken() })}\n`).join(''))
  const { child, ended } = spawnCli(t, ['import', path, '--json'], cliEnv(service))
  await until('sessions are imported', async () => (await recordKeys(own)).length > 0)
  await own.kill()
  await own.start()
  t.equal(child.exitCode, null)
  t.match(await ended, { code: 0, json: { lines: 20_000, rejected: 0 } })
  await until('Redis is back', async () => own.client.status === 'ready')
  t.equal((await recordKeys(own)).length, 20_000)
})

t.test('reads lines across chunks, without their ends', async t => {
  const text = 'a\n\r\nbä\r\nc'
  for (let size = 1; size < 12; size++) {
    const bytes = Buffer.from(text)
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size))
    const lines = []
    for await (const line of readLines(Readable.from(chunks))) lines.push(line)
    t.same(lines, [
      { number: 1, text: 'a', bytes: 2 }, { number: 2, text: '', bytes: 4 }, { number: 3, text: 'bä', bytes: 9 }, { number: 4, text: 'c', bytes: 10 }
    ])
  }
  const odd = []
  for await (const { text } of readLines(Readable.from([Buffer.from([0x61, 0xff, 10]), Buffer.alloc(MAX_LINE + 1, 'x'), Buffer.from('\n\ufeffb')]))) odd.push(text)
  t.same(odd, [undefined, undefined, 'b'], 'a line that is not UTF-8, or too long, has no text; a byte order mark is dropped')
})
