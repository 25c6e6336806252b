import { execFileSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { once } from 'node:events'
import { Redis } from 'ioredis'
import t from 'tap'
import { apiKey, environment, postSession, startRedis, startService, tempFolder } from '../support/helper.ts'

/** The commands in docs/validating-over-redis.md print the documented output, and its Redis user may run only the documented commands. */

/** Replaces times and session ids, which differ from run to run. */
const normalised = (text: string): string =>
  text.replace(/\b\d{10}\b/g, '<time>').replace(/"sid":"[^"]+"/g, '"sid":"…"').trim()

t.test('the commands of the page print the documented output', async t => {
  const redis = await startRedis(t)
  const service = await startService(t, { ...environment(redis.url, { REDIS_PREFIX: 'rt:' }), LOG_LEVEL: 'info' })
  const folder = await tempFolder(t)
  const real = execFileSync('sh', ['-c', 'command -v redis-cli || command -v valkey-cli'], { encoding: 'utf8' }).trim()
  await writeFile(`${folder}/redis-cli`, `#!/bin/sh\nexec ${real} -s ${redis.folder}/redis.sock "$@"\n`, { mode: 0o755 })

  const page = await readFile('docs/validating-over-redis.md', 'utf8')
  const blocks = [...page.matchAll(/^ *```(sh|text)\n([^]*?)^ *```$/gm)].map(([, language, text]) => ({ language, text: text!.replace(/^ {3}/gm, '') }))
  const script = blocks.filter(({ language }) => language === 'sh').map(({ text }) => `${text}\nprintf '\\f'\n`).join('')
    .replaceAll('localhost:3001', new URL(service.internalUrl).host)
    .replaceAll('/tmp/', `${folder}/`)
  const printed = execFileSync('bash', ['-c', `${script}\nprintf '%s' "$READER_PASSWORD"`], {
    encoding: 'utf8', env: { ...process.env, PATH: `${folder}:${process.env.PATH}`, INTERNAL_API_KEY: apiKey }
  }).split('\f')
  const password = printed.pop()!
  const expected = blocks.flatMap(({ language }, i) =>
    language === 'text' ? [] : [blocks[i + 1]?.language === 'text' ? blocks[i + 1]!.text : ''])
  t.same(printed.map(normalised), expected.map(normalised))

  await t.test('the Redis user of the page may run only the documented commands', async t => {
    const reader = new Redis({
      path: `${redis.folder}/redis.sock`, username: 'reader', password, enableReadyCheck: false, connectionName: 'reader'
    })
    t.teardown(() => reader.disconnect())
    await postSession(service.internalUrl)
    const [sid] = (await redis.client.hkeys('rt:1')).filter(field => field.startsWith('s:'))
    await redis.client.hset('orders:1', 'total', 5)

    t.match(await reader.hget('rt:1', sid!), /^001(:\d{10}){3}:[\w-]{16}$/)
    t.equal((await reader.hmget('rt:1', 'email', 'role')).length, 2)
    t.equal(await reader.ping(), 'PONG')
    t.equal((await reader.time()).length, 2)

    const before = await redis.client.hgetall('rt:1')
    const forbidden: Array<[string, ...string[]]> = [
      ['hset', 'rt:1', 'role', 'ADMIN'], ['hdel', 'rt:1', sid!], ['del', 'rt:1'], ['expire', 'rt:1', '1'], ['rename', 'rt:1', 'rt:2'],
      ['set', 'rt:9', 'x'], ['hget', 'orders:1', 'total'], ['hget', 'r', 'x'], ['hgetall', 'rt:1'], ['get', 'rt:1'],
      ['publish', 'rt:events', '{}'], ['publish', 'other', '{}'], ['subscribe', 'other'], ['psubscribe', 'rt:*'], ['ssubscribe', 'rt:events'],
      ['eval', 'return redis.call("HGET", KEYS[1], "role")', '1', 'rt:1'], ['evalsha', '0'.repeat(40), '0'], ['script', 'flush'],
      ['fcall', 'f', '0'], ['keys', '*'], ['scan', '0'], ['info'], ['config', 'get', '*'], ['acl', 'list'], ['client', 'list'],
      ['flushall'], ['cluster', 'nodes'], ['cluster', 'reset'], ['monitor'], ['shutdown', 'nosave'], ['multi']
    ]
    for (const [command, ...args] of forbidden) {
      await t.rejects(reader.call(command, ...args), { message: /^NOPERM/ }, `${command} ${args.join(' ')}`)
    }
    t.same(await redis.client.hgetall('rt:1'), before, 'the record is unchanged')

    await reader.subscribe('rt:events')
    const heard = once(reader, 'message')
    await redis.client.publish('rt:events', '{"type":"test"}')
    t.same(await heard, ['rt:events', '{"type":"test"}'])
    t.equal(await reader.unsubscribe('rt:events'), 0)
  })
})
