import { once } from 'node:events'
import { chmod, chown, readFile, stat, writeFile } from 'node:fs/promises'
import { Agent, get, request } from 'node:http'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { assertPrivate, readDevelopmentSecrets } from '#src/config/development-secrets'
import {
  apiKey, environment, guest, postRefresh, postSession, secret, spawnService, startRedis, startService, tempFolder,
  type PrivateRedis, type TokensBody
} from './support/helper.ts'

/** The start of the process, refused starts, and its end. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

t.test('the log names the addresses, the Redis and the mode of the service', async t => {
  const service = await startService(t, environment(redis.url, { NODE_ENV: 'production' }))
  const ready = JSON.parse(await service.line('is ready'))
  t.match(ready, { public: /^http:\/\/127\.0\.0\.1:\d+$/, internal: /^http:\/\/127\.0\.0\.1:\d+$/, redis: `unix socket ${redis.folder}/redis.sock`, mode: 'production' })
  service.child.kill('SIGINT')
  t.same(await service.exited, [0, null])
})

t.test('an uncaught error is logged and ends the process with exit code 1', async t => {
  const broken = 'process.on("SIGUSR2", () => { throw new Error("broken") })'
  const env = environment(redis.url, { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(broken)}` })
  const { child, exited, line } = await startService(t, env)
  child.kill('SIGUSR2')
  t.match(JSON.parse(await line('nobody handled')), { level: 60, err: { message: 'broken' } })
  t.same(await exited, [1, null])
})

t.test('invalid configuration ends the start with one sentence for each mistake', async t => {
  const { errors, exited } = spawnService(t, environment(redis.url, { PORT: 'x', INTERNAL_API_KEY: 'short' }))
  t.same(await exited, [1, null])
  t.same(errors, ['PORT must be a port number from 0 to 65535.', 'INTERNAL_API_KEY must be at least 32 characters of A-Z a-z 0-9 . _ ~ + / = -.'])
})

t.test('a port in use ends the start with one sentence', async t => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  const { port } = other.address() as AddressInfo
  const { errors, exited } = spawnService(t, environment(redis.url, { INTERNAL_PORT: String(port) }))
  t.same(await exited, [1, null])
  t.match(errors, [`INTERNAL_PORT ${port} can't be listened on at 127.0.0.1: listen EADDRINUSE`])
  other.close()
})

t.test('an unreachable Redis ends the start with one sentence, without the password', async t => {
  const { errors, exited } = spawnService(t, environment('redis://user:sesame-open@127.0.0.1:1/3'))
  t.same(await exited, [1, null])
  t.match(errors, ["Redis at redis://127.0.0.1:1/3 (REDIS_URL) can't be used: connect ECONNREFUSED 127.0.0.1:1."])
})

t.test('an unexpected error at the start is printed with its stack', async t => {
  const broken = 'const { on } = process; process.on = function (name, ...rest) { if (name === "SIGHUP") throw new Error("no signals"); return on.call(this, name, ...rest) }'
  const preload = `--import=./scripts/typescript.mjs --import=data:text/javascript,${encodeURIComponent(broken)}`
  const { errors, exited } = spawnService(t, environment(redis.url, { NODE_OPTIONS: preload }))
  t.same(await exited, [1, null])
  t.match(errors.join('\n'), /Error: no signals\n +at /)
})

t.test('a HOST that is not an address of this machine ends the start with its name', async t => {
  for (const [name, host] of [['HOST', 'nonsense.invalid'], ['INTERNAL_HOST', '192.0.2.1']] as const) {
    const { errors, exited } = spawnService(t, environment(redis.url, { [name]: host }))
    t.same(await exited, [1, null])
    t.match(errors, [new RegExp(`^${name} ${host} must be an address of this machine, such as 127\\.0\\.0\\.1 or 0\\.0\\.0\\.0: .*\\.$`)])
  }
})

t.test('on SIGTERM /readyz answers 503, new and open requests are served, and the exit code is 0', async t => {
  const { child, publicUrl, internalUrl, exited, line } = await startService(t, environment(redis.url, { SHUTDOWN_DELAY: '3', LOG_LEVEL: 'info' }))
  const { refreshToken } = await postSession(internalUrl)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => { agent.destroy() })
  const first = await fetchWith(agent, `${internalUrl}/healthz`)
  t.equal(first.headers.connection, 'keep-alive')

  // A request whose body is incomplete when the signal comes.
  const body = JSON.stringify({ deviceId: guest.deviceId, refreshToken })
  const slow = request(`${publicUrl}/api/ps/refresh`, { method: 'POST', headers: { 'content-type': 'application/json', 'content-length': body.length } })
  slow.write(body.slice(0, 10))
  await once(slow, 'socket').then(async ([socket]) => { if (socket.connecting) await once(socket, 'connect') })
  // A connection without a request.
  const silent = connect(Number(new URL(publicUrl).port), '127.0.0.1')
  await once(silent, 'connect')

  child.kill('SIGTERM')
  await line('closing')
  t.equal((await fetch(`${internalUrl}/readyz`)).status, 503)
  const draining = await fetchWith(agent, `${internalUrl}/healthz`)
  t.equal(draining.statusCode, 200)
  t.equal(draining.headers.connection, 'close', 'clients connect elsewhere next time')
  const normal = await postRefresh(publicUrl, refreshToken)
  t.equal(normal.status, 200)

  slow.end(body.slice(10))
  const [answer] = await once(slow, 'response')
  t.equal(answer.statusCode, 200)
  t.same(await exited, [0, null])
  silent.destroy()
})

t.test('on SIGINT an unfinished request is closed after the grace period, and the exit code is 0', async t => {
  const { child, publicUrl, exited } = await startService(t, environment(redis.url, { LOG_LEVEL: 'info' }))
  const socket = connect(Number(new URL(publicUrl).port), '127.0.0.1')
  socket.write('POST /api/ps/refresh HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{')
  await fetch(`${publicUrl}/`)
  child.kill('SIGINT')
  await once(socket, 'close')
  t.same(await exited, [0, null])
})

t.test('requests in flight are answered when the listener closes without SHUTDOWN_DELAY', async t => {
  const { child, publicUrl, internalUrl, exited, line } = await startService(t, environment(redis.url, { LOG_LEVEL: 'info' }))
  const { refreshToken } = await postSession(internalUrl)
  const body = JSON.stringify({ deviceId: guest.deviceId, refreshToken })
  const agent = new Agent({ keepAlive: true })
  t.teardown(() => { agent.destroy() })
  const slow = request(`${publicUrl}/api/ps/refresh`, { agent, method: 'POST', headers: { 'content-type': 'application/json', 'content-length': body.length } })
  slow.write(body.slice(0, 10))
  await fetch(`${publicUrl}/`)
  // A request whose headers are completed while Fastify closes.
  const late = connect(Number(new URL(publicUrl).port), '127.0.0.1').setEncoding('utf8')
  late.write('POST /api/ps/refresh HTTP/1.1\r\n')
  await fetch(`${publicUrl}/`)
  child.kill('SIGTERM')
  await line('closing')
  while (await fetch(`${publicUrl}/`).then(() => true, () => false)) await delay(5)
  late.write(`Host: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
  t.match((await once(late, 'data'))[0], /^HTTP\/1\.1 200 OK\r\n/)
  slow.end(body.slice(10))
  const [answer] = await once(slow, 'response')
  t.equal(answer.statusCode, 200, 'not the 503 of a closing Fastify')
  t.match(JSON.parse(await text(answer)), { id: 1 })
  t.same(await exited, [0, null], 'the keep-alive connection does not delay the exit')
})

t.test('a signal during the start ends the process with exit code 0', async t => {
  const { child, exited, line } = spawnService(t, environment('redis://127.0.0.1:1', { LOG_LEVEL: 'debug' }))
  await line('waiting for Redis')
  child.kill('SIGTERM')
  t.same(await exited, [0, null])
})

t.test('development secrets are created once, readable by their owner alone', async t => {
  const dataDir = join(await tempFolder(t), 'data')
  const env = { DATA_DIR: dataDir, REDIS_URL: redis.url, REDIS_PREFIX: 'dev:', LOG_LEVEL: 'info' }
  const [one, two] = await Promise.all([startService(t, env), startService(t, env), startService(t, env)])
  const { INTERNAL_API_KEY: key } = Object.fromEntries((await readFile(join(dataDir, 'secrets.env'), 'utf8')).split('\n').map(line => line.split('=')))
  t.not(key, apiKey)
  t.equal((await stat(dataDir)).mode & 0o777, 0o700)
  t.equal((await stat(join(dataDir, 'secrets.env'))).mode & 0o777, 0o600)
  const response = await fetch(`${one!.internalUrl}/internal/sessions`, {
    method: 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, body: JSON.stringify(guest)
  })
  const { refreshToken } = await response.json() as TokensBody
  t.equal((await postRefresh(two!.publicUrl, refreshToken)).status, 200, 'all services on the machine share them')
})

t.test('edited development secrets are validated like any others', async t => {
  const dataDir = await tempFolder(t)
  const good = { ACCESS_TOKEN_SECRETS: secret(), REFRESH_TOKEN_SECRETS: secret(), INTERNAL_API_KEY: apiKey }
  const wrong: Array<[Record<string, string>, RegExp]> = [
    [{ ...good, INTERNAL_API_KEY: '' }, /^INTERNAL_API_KEY is missing in .*secrets\.env: remove the file, and new secrets are made\.$/],
    [{}, /^ACCESS_TOKEN_SECRETS is missing in /],
    [{ ...good, INTERNAL_API_KEY: 'x' }, /^INTERNAL_API_KEY must be at least 32/],
    [{ ...good, ACCESS_TOKEN_SECRETS: good.REFRESH_TOKEN_SECRETS }, /^REFRESH_TOKEN_SECRETS must share no secret/]
  ]
  for (const [secrets, sentence] of wrong) {
    await writeFile(join(dataDir, 'secrets.env'), Object.entries(secrets).map(([name, value]) => `${name}=${value}\n`).join(''), { mode: 0o600 })
    const { errors, exited } = spawnService(t, { DATA_DIR: dataDir, REDIS_URL: redis.url })
    t.same(await exited, [1, null])
    t.match(errors, [sentence])
  }
})

t.test('refuses development secrets that another user owns, can read or can change', async t => {
  const dataDir = await tempFolder(t)
  const path = join(dataDir, 'secrets.env')
  const refused = async (sentence: RegExp): Promise<void> => {
    const { errors, exited } = spawnService(t, { DATA_DIR: dataDir, REDIS_URL: redis.url })
    t.same(await exited, [1, null])
    t.match(errors, [sentence])
    t.equal(errors.length, 1)
  }
  await writeFile(path, '')
  for (const mode of [0o640, 0o620, 0o604, 0o602]) {
    await chmod(path, mode)
    await t.rejects(readDevelopmentSecrets(dataDir), { name: 'StartError' }, mode.toString(8))
  }
  await refused(/secrets\.env can be read or changed by other users: remove the file, .* or run chmod 600 .*secrets\.env if nobody else has read it\.$/)
  await chmod(path, 0o600)
  await t.resolves(readDevelopmentSecrets(dataDir))

  const own = process.getuid!()
  t.throws(() => assertPrivate({ uid: own + 1, mode: 0o600 }, path), { name: 'StartError', message: /secrets\.env belongs to another user/ })
  t.doesNotThrow(() => assertPrivate({ uid: 0, mode: 0o600 }, path))
  if (own !== 0) return
  await chown(path, 65534, 65534)
  await refused(/secrets\.env belongs to another user, who knows the secrets in it: remove the file, and new secrets are made\.$/)
})

async function fetchWith (agent: Agent, url: string): Promise<{ statusCode: number | undefined, headers: Record<string, unknown> }> {
  const [response] = await once(get(url, { agent }), 'response')
  await text(response)
  return response
}

async function text (stream: AsyncIterable<Buffer>): Promise<string> {
  let text = ''
  for await (const chunk of stream) text += chunk
  return text
}
