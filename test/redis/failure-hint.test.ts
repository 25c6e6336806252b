import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer as createHttp } from 'node:http'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { join } from 'node:path'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { redisOptions } from '#src/config/options'
import { connectRedis } from '#src/redis/connect'
import { run } from '../cli/helper.ts'
import { startRedis, tempFolder } from '../support/helper.ts'
import { freePort } from '../support/ports.ts'

/** A wrong REDIS_URL: the error says what it leads to, and what to write instead. */

/** The error message of a start with this URL. */
async function sentence (url: string, more: object = {}): Promise<string> {
  const client = await connectRedis(redisOptions({ REDIS_URL: url, REDIS_PREFIX: 'rt:', ...more }), pino({ level: 'silent' })).catch(err => err)
  if (client instanceof Error) return client.message
  client.disconnect()
  return 'connected'
}

async function listen (t: Test, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  return (server.address() as AddressInfo).port
}

/** A stand-in for servers that can't be installed here: it answers each command by its name. */
async function oldServer (t: Test, answers: Record<string, string>): Promise<number> {
  return await listen(t, createServer(socket => {
    socket.setEncoding('latin1').on('error', () => {}).on('data', (text: string) => {
      for (const [, name] of text.matchAll(/\*\d+\r\n\$\d+\r\n(\w+)\r\n/g)) socket.write(answers[name!.toLowerCase()] ?? '-ERR unknown command\r\n')
    })
  }))
}

const bulk = (text: string): string => `$${text.length}\r\n${text}\r\n`

t.test('names a Redis older than 7.0', async t => {
  const noScript = "-ERR Error compiling script (new function): user_script:1: unexpected symbol near '#'\r\n"
  for (const [version, hello] of [
    ['6.2.14', `%3\r\n${bulk('server')}${bulk('redis')}${bulk('version')}${bulk('6.2.14')}${bulk('proto')}:3\r\n`],
    ['5.0.14', '-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n']
  ] as const) {
    const port = await oldServer(t, {
      hello, eval: noScript, evalsha: noScript, info: bulk(`# Server\r\nredis_version:${version}\r\nredis_mode:standalone\r\nloading:0\r\nmaxmemory_policy:noeviction\r\n`), select: '+OK\r\n', client: '+OK\r\n'
    })
    t.equal(await sentence(`redis://127.0.0.1:${port}`), `Redis ${version} at redis://127.0.0.1:${port}/0 is too old: Redis or Valkey 7.0 or later is needed.`)
  }
})

t.test('recognizes TLS to a plain port, plain text to a TLS port, and no server', async t => {
  const folder = await tempFolder(t)
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1', '-subj', '/CN=localhost', '-keyout', key, '-out', cert], { stdio: 'ignore' })
  const [plain, tls] = [await freePort(), await freePort()]
  await startRedis(t, ['--port', String(plain), '--tls-port', String(tls), '--tls-key-file', key, '--tls-cert-file', cert, '--tls-ca-cert-file', cert])
  const sentences: Record<string, string> = {
    [`rediss://127.0.0.1:${plain}`]: `Redis at rediss://127.0.0.1:${plain}/0 (REDIS_URL) can't be used: it answers without TLS, so REDIS_URL must begin with redis instead of rediss.`,
    [`redis://127.0.0.1:${tls}`]: `Redis at redis://127.0.0.1:${tls}/0 (REDIS_URL) can't be used: it answers with TLS, so REDIS_URL must begin with rediss instead of redis.`,
    [`redis+cluster://127.0.0.1:${tls}`]: `Redis at redis+cluster://127.0.0.1:${tls} (REDIS_URL) can't be used: it answers with TLS, so REDIS_URL must begin with rediss instead of redis.`,
    'redis://127.0.0.1:1': "Redis at redis://127.0.0.1:1/0 (REDIS_URL) can't be used: connect ECONNREFUSED 127.0.0.1:1.",
    'rediss://127.0.0.1:1': "Redis at rediss://127.0.0.1:1/0 (REDIS_URL) can't be used: connect ECONNREFUSED 127.0.0.1:1.",
    'redis+socket:///nonexistent': "Redis at unix socket /nonexistent (REDIS_URL) can't be used: connect ENOENT /nonexistent."
  }
  const sentinels = sentence('redis+sentinel://127.0.0.1:1/main')
  const silent = `127.0.0.1:${await listen(t, createServer(socket => { socket.on('error', () => {}) }))}`
  const silentSentinel = sentence(`redis+sentinel://${silent}/main`)
  await Promise.all(Object.entries(sentences).map(async ([url, expected]) => {
    let found = await sentence(url)
    // A busy machine may be too slow for a probe.
    for (let n = 0; n < 3 && found !== expected; n++) found = await sentence(url)
    t.equal(found, expected)
  }))
  t.match(await sentinels, /^Redis at redis\+sentinel:\/\/127\.0\.0\.1:1\/main\/0 \(REDIS_URL\) can't be used: (no answer|connect ECONNREFUSED 127\.0\.0\.1:1)\.$/)
  t.equal(await silentSentinel, `Redis at redis+sentinel://${silent}/main/0 (REDIS_URL) can't be used: no answer.`)
})

t.test('recognizes a web server', async t => {
  const port = await listen(t, createHttp((_request, response) => { response.end('hello') }))
  const text = `Redis at redis://127.0.0.1:${port}/0 (REDIS_URL) can't be used: it does not speak the protocol of Redis but probably HTTP, so host or port of REDIS_URL must be wrong.`
  t.equal(await sentence(`redis://127.0.0.1:${port}`), text)
  const { json } = await run(['doctor'], { REDIS_URL: `redis://127.0.0.1:${port}` })
  t.match(json.checks.find(({ name }: { name: string }) => name === 'redis'), { status: 'fail', message: text })
  await t.rejects(run(['stats'], { REDIS_URL: `redis://127.0.0.1:${port}` }), { message: text })
})

t.test('recognizes a server of another protocol', async t => {
  const port = await listen(t, createServer(socket => { socket.on('error', () => {}).end('220 mail.example ESMTP\r\n') }))
  t.match(await sentence(`redis://127.0.0.1:${port}`), /can't be used: it does not speak the protocol of Redis, so host or port of REDIS_URL must be wrong\.$/)
})

t.test('recognizes a missing password', async t => {
  const port = await freePort()
  const { client } = await startRedis(t, ['--port', String(port)])
  await client.config('SET', 'requirepass', 'sesame')
  t.equal(await sentence(`redis://127.0.0.1:${port}`), `Redis at redis://127.0.0.1:${port}/0 (REDIS_URL) can't be used: it wants a password (NOAUTH), and REDIS_URL has none: write redis://user:password@host, or redis://:password@host for the user default.`)
})

t.test('recognizes a Sentinel in place of a Redis, and a Sentinel that needs a password', async t => {
  const port = await oldServer(t, { hello: `%1\r\n${bulk('proto')}:3\r\n`, info: bulk('# Server\r\nredis_version:7.0.15\r\nredis_mode:sentinel\r\n'), select: '+OK\r\n', client: '+OK\r\n' })
  t.equal(await sentence(`redis://127.0.0.1:${port}`), `redis://127.0.0.1:${port}/0 (REDIS_URL) is a Sentinel, which holds no data: write redis+sentinel://host:port,…/master.`)
  const locked = await oldServer(t, { hello: '-NOAUTH HELLO must be called with the client already authenticated\r\n', sentinel: '-NOAUTH Authentication required.\r\n' })
  t.match(await sentence(`redis+sentinel://127.0.0.1:${locked}/main`), /can't be used: it wants a password \(NOAUTH\): that of Redis belongs in REDIS_URL, that of the sentinels in REDIS_SENTINEL_PASSWORD\.$/)
})
