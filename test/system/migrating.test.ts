import { execFileSync, spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { run } from '../cli/helper.ts'
import { build, startRedis, tempFolder, type PrivateRedis, type Service } from '../support/helper.ts'
import { cliEnv, legacyToken } from '../support/moving.ts'

/** The scripts of docs/migrating.md, with the stores of other services. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

/** The code block of the page with this name after its language. */
async function block (name: string): Promise<string> {
  const page = await readFile('docs/migrating.md', 'utf8')
  return new RegExp(`\`\`\`\\w+ ${name}\\n([^]*?)\`\`\``).exec(page)![1]!
}

async function importText (t: Test, text: string): Promise<Service> {
  const service = await build(t, redis, { LEGACY_TOKENS: 'on' })
  const rejected = join(await tempFolder(t), 'rejected')
  const { json } = await run(['import', '-', '--rejected', rejected], cliEnv(service), { input: Readable.from([Buffer.from(text)]) })
  t.match(json, { lines: 2, imported: 2, rejected: 0 })
  return service
}

t.test('tokens in Redis', async t => {
  const [first, second] = [legacyToken(), legacyToken()]
  await redis.client.set(`refresh:${first}`, 7, 'EX', 1000)
  await redis.client.set(`refresh:${second}`, 'user_01')
  // In this repository, so that the script finds ioredis.
  const script = ['--input-type=module', '--eval', await block('redis')]
  const EARLIER_REDIS_URL = redis.url.replace('redis+socket://', '')
  const service = await importText(t, execFileSync(process.execPath, script, { encoding: 'utf8', env: { ...process.env, EARLIER_REDIS_URL } }))
  t.match((await service.refresh(first)).json(), { id: 7 })
  t.match((await service.refresh(second)).json(), { id: 'user_01' })
})

t.test('Better Auth in SQLite', { skip: spawnSync('sqlite3', ['--version']).status !== 0 && 'needs sqlite3' }, async t => {
  const [first, second, expired] = [legacyToken(), legacyToken(), legacyToken()]
  const time = (seconds: number): string => new Date(Date.now() + seconds * 1000).toISOString()
  const session = (id: number, token: string, expires: string): string =>
    `INSERT INTO session VALUES ('s${id}', '${expires}', '${token}', '${time(-100)}', '${time(-100)}', NULL, 'Firefox', 'Xk2pQ9');`
  const tables = `
    CREATE TABLE user (id text PRIMARY KEY, name text NOT NULL, email text NOT NULL UNIQUE, emailVerified integer NOT NULL, image text,
      createdAt date NOT NULL, updatedAt date NOT NULL);
    CREATE TABLE session (id text PRIMARY KEY, expiresAt date NOT NULL, token text NOT NULL UNIQUE, createdAt date NOT NULL,
      updatedAt date NOT NULL, ipAddress text, userAgent text, userId text NOT NULL REFERENCES user (id));
    INSERT INTO user VALUES ('Xk2pQ9', 'Guest', 'guest@keygenqt.com', 1, NULL, '${time(-200)}', '${time(-200)}');
    ${session(1, first, time(1000))} ${session(2, second, time(2000))} ${session(3, expired, time(-1))}`
  const text = execFileSync('sqlite3', [':memory:'], { encoding: 'utf8', input: tables + await block('sqlite') })
  const service = await importText(t, text)
  t.match((await service.refresh(first)).json(), { id: 'Xk2pQ9', email: 'guest@keygenqt.com' })
  t.equal((await service.refresh(second)).statusCode, 200)
})
