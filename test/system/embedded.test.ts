import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { appendFile, cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { createLogger } from '#src/log/log'
import { connectRedis } from '#src/redis/connect'
import { findServer } from '#src/embedded/binary'
import { planEmbeddedRedis, startEmbeddedRedis } from '#src/embedded/embedded'
import { claimsOf, environment, postRefresh, postSession, spawnService, startService, tempFolder, type TokensBody } from '../support/helper.ts'

/** The embedded Redis keeps sessions across restarts, and ends with its service after a regular end and after a SIGKILL. */

interface Home { env: Record<string, string>, dataDir: string, socket: string }

async function home (t: Test): Promise<Home> {
  const dataDir = await tempFolder(t)
  const { REDIS_URL: _, ...env } = environment('', { DATA_DIR: dataDir, LOG_LEVEL: 'info' })
  return { env, dataDir, socket: join(dataDir, 'redis', 'redis.sock') }
}

/** The process id of the server behind a socket. */
async function serverPid (socket: string): Promise<number> {
  const client = new Redis({ path: socket })
  const [, pid] = /process_id:(\d+)/.exec(await client.info('server'))!
  client.disconnect()
  return Number(pid)
}

/** Tells whether connecting to a socket fails. */
async function silentNow (socket: string): Promise<boolean> {
  const connection = connect(socket)
  const refused = await once(connection, 'connect').then(() => false, () => true)
  connection.destroy()
  return refused
}

/** Resolves when no server listens on a socket. */
async function silent (socket: string): Promise<void> {
  while (!await silentNow(socket)) await delay(10)
}

const refreshed = async (url: string, token: string): Promise<string> =>
  (await (await postRefresh(url, token)).json() as TokensBody).refreshToken

t.test('sessions survive SIGTERM and a restart, and the server ends with the service', async t => {
  const { env, socket } = await home(t)
  const first = await startService(t, env)
  t.match(await first.line('is ready'), /embedded, unix socket/)
  const { refreshToken } = await postSession(first.internalUrl)
  const second = await refreshed(first.publicUrl, refreshToken)
  first.child.kill('SIGTERM')
  t.same(await first.exited, [0, null])
  await silent(socket)

  const again = await startService(t, env)
  t.equal(claimsOf(await refreshed(again.publicUrl, second)).gen, 3)
  again.child.kill('SIGTERM')
  await again.exited
})

t.test('sessions survive a SIGKILL of the service, and the server ends by itself', async t => {
  const { env, socket } = await home(t)
  const first = await startService(t, env)
  const { refreshToken } = await postSession(first.internalUrl)
  first.child.kill('SIGKILL')
  await silent(socket)
  const again = await startService(t, env)
  t.equal(claimsOf(await refreshed(again.publicUrl, refreshToken)).gen, 2)
  again.child.kill('SIGTERM')
  await again.exited
})

t.test('the next start ends a server that was left running and takes over its data', async t => {
  const { env, socket } = await home(t)
  const first = await startService(t, env)
  const { refreshToken } = await postSession(first.internalUrl)
  const pid = await serverPid(socket)
  const supervisor = Number(execFileSync('ps', ['-o', 'ppid=', '-p', String(pid)]))
  process.kill(first.child.pid!, 'SIGSTOP') // a running service would restart its server
  process.kill(supervisor, 'SIGKILL')
  first.child.kill('SIGKILL')
  await first.exited

  const again = await startService(t, env)
  t.not(await serverPid(socket), pid)
  t.equal(claimsOf(await refreshed(again.publicUrl, refreshToken)).gen, 2)
  again.child.kill('SIGTERM')
  await again.exited
})

t.test('a start fails with a sentence when an older server is frozen', async t => {
  const { env, socket } = await home(t)
  const first = await startService(t, env)
  const pid = await serverPid(socket)
  t.teardown(() => { process.kill(pid, 'SIGKILL') })
  const supervisor = Number(execFileSync('ps', ['-o', 'ppid=', '-p', String(pid)]))
  process.kill(pid, 'SIGSTOP')
  process.kill(first.child.pid!, 'SIGSTOP')
  process.kill(supervisor, 'SIGKILL')
  first.child.kill('SIGKILL')
  await first.exited
  const { errors, exited } = spawnService(t, env)
  t.same(await exited, [1, null])
  t.match(errors, [/^An older Redis server holds .*redis\.sock and does not end: end it, then start again\.$/])
})

t.test('a wall clock that jumps forward does not end the waiting for servers to start and end', async t => {
  const { dataDir, socket } = await home(t)
  await mkdir(join(dataDir, 'redis'))
  const old = spawn('redis-server', ['--port', '0', '--unixsocket', socket, '--save', ''], { stdio: 'ignore' })
  t.teardown(() => { old.kill('SIGKILL') })
  while (await silentNow(socket)) await delay(10)
  const { now } = Date
  let hours = 0
  t.intercept(Date, 'now', { value: () => now() + ++hours * 3_600_000 })
  const redis = await startEmbeddedRedis(await planEmbeddedRedis(dataDir), createLogger('silent'))
  t.teardown(redis.stop)
  t.equal(await silentNow(socket), false)
})

t.test('a second service on one DATA_DIR does not start', async t => {
  const { env, dataDir } = await home(t)
  const first = await startService(t, env)
  const { errors, exited } = spawnService(t, env)
  t.same(await exited, [1, null])
  t.same(errors, [`DATA_DIR ${dataDir} is in use by the service with process id ${first.child.pid}.`])
  t.match(await postSession(first.internalUrl), { id: 1 }, 'the first still works')
  first.child.kill('SIGTERM')
  await first.exited
})

t.test('a server that dies is restarted with its sessions', async t => {
  const { env, socket } = await home(t)
  const service = await startService(t, env)
  const { refreshToken } = await postSession(service.internalUrl)
  process.kill(await serverPid(socket), 'SIGKILL')
  await service.line('the embedded Redis ended; it is started again')
  while ((await fetch(`${service.internalUrl}/readyz`)).status !== 200) await delay(20)
  t.equal(claimsOf(await refreshed(service.publicUrl, refreshToken)).gen, 2)
  service.child.kill('SIGTERM')
  t.same(await service.exited, [0, null])
})

t.test('a server whose supervisors died is ended before another is started', async t => {
  const { env, socket } = await home(t)
  const service = await startService(t, env)
  const { refreshToken } = await postSession(service.internalUrl)
  const pid = await serverPid(socket)
  const group = execFileSync('ps', ['-o', 'pgid=', '-p', String(pid)], { encoding: 'utf8' }).trim()
  const processes = execFileSync('ps', ['-A', '-o', 'pid=,pgid='], { encoding: 'utf8' }).trim().split('\n').map(line => line.trim().split(/\s+/))
  for (const [other, pgid] of processes) if (pgid === group && Number(other) !== pid) process.kill(Number(other), 'SIGKILL')
  await service.line('the embedded Redis ended; it is started again')
  while ((await fetch(`${service.internalUrl}/readyz`)).status !== 200 || await serverPid(socket) === pid) await delay(20)
  t.match(spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim(), /^(Z.*)?$/, 'gone, or waiting to be reaped')
  t.equal(claimsOf(await refreshed(service.publicUrl, refreshToken)).gen, 2)
  service.child.kill('SIGTERM')
  t.same(await service.exited, [0, null])
  await silent(socket)
})

t.test('DATA_DIR may contain characters that are special in URLs', async t => {
  const { env, dataDir } = await home(t)
  const service = await startService(t, { ...env, DATA_DIR: join(dataDir, 'a b#c?d%e') })
  t.match(await postSession(service.internalUrl), { id: 1 })
  service.child.kill('SIGTERM')
  t.same(await service.exited, [0, null])
})

t.test('works in a folder whose absolute path is too long for a socket', async t => {
  const { dataDir } = await home(t)
  const deep = join(dataDir, 'x'.repeat(100))
  await mkdir(deep)
  const here = process.cwd()
  t.teardown(() => { process.chdir(here) })
  process.chdir(deep)
  const log = createLogger('silent')
  const { url, stop } = await startEmbeddedRedis(await planEmbeddedRedis('.data'), log)
  const redis = await connectRedis({ url, needs: { prefix: 'rt:' } }, log)
  t.equal(await redis.ping(), 'PONG')
  redis.disconnect()
  await stop()
})

t.test('a frozen server is killed when the service ends', async t => {
  const { env, socket } = await home(t)
  const service = await startService(t, env)
  const pid = await serverPid(socket)
  process.kill(pid, 'SIGSTOP')
  service.child.kill('SIGTERM')
  t.same(await service.exited, [0, null])
  await silent(socket)
})

t.test('for a damaged append-only file, the start prints two remedies, and both work', async t => {
  const { env, dataDir } = await home(t)
  const first = await startService(t, env)
  const { refreshToken } = await postSession(first.internalUrl)
  first.child.kill('SIGTERM')
  await first.exited
  await appendFile(join(dataDir, 'redis', 'appendonlydir', 'appendonly.aof.1.incr.aof'), 'nonsense\n')

  const { errors, exited } = spawnService(t, env)
  t.same(await exited, [1, null])
  const [, repair, move] = /^The embedded Redis did not start, because its append-only file is damaged\. Two ways out: repair it with `([^`]+)`: log-ins, log-outs and refreshes that were written after the damage are lost; or begin anew with `([^`]+)`: every session is lost, and everybody logs in again\. It said: Bad file format/.exec(errors.join())!
  await cp(join(dataDir, 'redis', 'appendonlydir'), join(dataDir, 'copy'), { recursive: true })
  t.match(execFileSync('sh', ['-c', repair!], { input: 'y\n', encoding: 'utf8' }), /Successfully truncated/)
  const repaired = await startService(t, env)
  t.equal(claimsOf(await refreshed(repaired.publicUrl, refreshToken)).gen, 2)
  repaired.child.kill('SIGTERM')
  await repaired.exited

  await rm(join(dataDir, 'redis', 'appendonlydir'), { recursive: true })
  await cp(join(dataDir, 'copy'), join(dataDir, 'redis', 'appendonlydir'), { recursive: true })
  execFileSync('sh', ['-c', move!])
  const anew = await startService(t, env)
  t.equal((await postRefresh(anew.publicUrl, refreshToken)).status, 400)
  anew.child.kill('SIGTERM')
  await anew.exited
})

t.test('for a damaged manifest of the append-only files, the start prints one remedy', async t => {
  const { env, dataDir } = await home(t)
  await mkdir(join(dataDir, 'redis', 'appendonlydir'), { recursive: true })
  await writeFile(join(dataDir, 'redis', 'appendonlydir', 'appendonly.aof.manifest'), 'nonsense\n')
  const { errors, exited } = spawnService(t, env)
  t.same(await exited, [1, null])
  t.match(errors, [/^The embedded Redis did not start, because the list of its append-only files is damaged\. The way out: begin anew with `mv .*`: every session is lost.* It said: /])
})

/** A folder with shell scripts in place of programs. */
async function programs (t: Test, scripts: Record<string, string>): Promise<string> {
  const folder = await tempFolder(t)
  for (const [name, script] of Object.entries(scripts)) await writeFile(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  return folder
}

t.test('prints the error output of a server that does not start', async t => {
  const { env, dataDir } = await home(t)
  const version = '[ "$1" = --version ] && echo "Redis server v=7.0.15" && exit 0'
  const said = async (script: string): Promise<string[]> => {
    const { errors, exited } = spawnService(t, { ...env, PATH: `${await programs(t, { 'redis-server': `${version}\n${script}` })}:${process.env.PATH}` })
    t.same(await exited, [1, null])
    return errors
  }
  t.same(await said('echo "libssl.so.3: cannot open shared object file" >&2; exit 127'), ['The embedded Redis did not start. It said: libssl.so.3: cannot open shared object file.'])
  t.same(await said('exit 1'), ['The embedded Redis did not start. It said nothing.'])
  t.same(await said(`echo "1:M 1 Jan 2026 00:00:00.000 # Out of ideas" > ${dataDir}/redis/redis.log; exit 1`), [
    `The embedded Redis did not start. It said: Out of ideas. Its log is ${dataDir}/redis/redis.log.`
  ])
})

t.test('does not start a server older than 7: the sentence names the found version, the needed version and how to get it', async t => {
  const { env, dataDir } = await home(t)
  const path = await programs(t, {
    'redis-server': 'echo "Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64 build=a3fdef44459b3ad6"', 'apt-get': '', brew: ''
  })
  const { errors, exited } = spawnService(t, { ...env, PATH: path })
  t.same(await exited, [1, null])
  t.same(errors, [`REDIS_URL is not set, and ${path}/redis-server is version 6.0.16: Redis or Valkey 7.0 or later is needed. ` +
    'Ways to one: the packages of packages.redis.io (docs/redis.md has the commands); `brew upgrade redis`; ' +
    '`docker run -d -p 127.0.0.1:6379:6379 redis:7` with REDIS_URL=redis://127.0.0.1:6379.'])
  t.same(await readdir(dataDir), [], 'DATA_DIR stays empty')

  const valkey = await programs(t, { 'valkey-server': 'echo "Valkey server v=8.1.1 sha=0"' })
  t.equal(await findServer(`${path}:${valkey}`), `${valkey}/valkey-server`, 'a newer server later on the PATH is used')
  const strange = await programs(t, { 'redis-server': 'echo "A server"' })
  t.equal(await findServer(strange), `${strange}/redis-server`, 'a server with an unknown version is used')
  const broken = await programs(t, { 'redis-server': 'echo "no library" >&2; exit 127', 'valkey-server': 'exit 1' })
  await t.rejects(findServer(broken), { name: 'StartError', message: /redis-server does not run \(no library\), and .*valkey-server does not run \(Command failed: .*\): Redis or Valkey 7\.0 or later is needed\. Ways to one: `docker/ })
})

t.test('rejects a PATH without a server', async t => {
  const { env } = await home(t)
  const { errors, exited } = spawnService(t, { ...env, PATH: '/nonexistent' })
  t.same(await exited, [1, null])
  t.same(errors, ['REDIS_URL is not set, and there is no redis-server or valkey-server on the PATH to start. ' +
    'Ways to one: `docker run -d -p 127.0.0.1:6379:6379 redis:7` with REDIS_URL=redis://127.0.0.1:6379.'])
  await t.rejects(findServer(await programs(t, { 'apt-get': '' })), { message: /Ways to one: `sudo apt-get install redis-server`; `docker / })
})

t.test('rejects an environment without PATH', async t => {
  const { PATH } = process.env
  delete process.env.PATH
  t.teardown(() => { process.env.PATH = PATH })
  await t.rejects(planEmbeddedRedis(await tempFolder(t)), { name: 'StartError', message: /^REDIS_URL is not set/ })
})

t.test('rejects a DATA_DIR that is too long for a socket', async t => {
  const { env } = await home(t)
  const DATA_DIR = `/tmp/${'x'.repeat(100)}`
  const { errors, exited } = spawnService(t, { ...env, DATA_DIR })
  t.same(await exited, [1, null])
  t.match(errors, [/^DATA_DIR must be a shorter path/])
  t.notOk(existsSync(DATA_DIR), 'the folder is not created')
})

t.test('leaves only data, log and lock behind, after SIGTERM and after SIGKILL', async t => {
  const { env, dataDir, socket } = await home(t)
  const TMPDIR = await tempFolder(t)
  const kept = ['appendonlydir', 'redis.log']
  for (const signal of ['SIGTERM', 'SIGKILL', 'SIGTERM'] as const) {
    const service = await startService(t, { ...env, TMPDIR })
    service.child.kill(signal)
    await service.exited
    await silent(socket)
    const left = (await readdir(join(dataDir, 'redis'))).filter(name => name !== 'redis.sock')
    t.match(left.sort(), signal === 'SIGTERM' ? kept : ['appendonlydir', /^lock-/, 'redis.log'], signal)
    t.same((await readdir(join(dataDir, 'redis', 'appendonlydir'))).filter(name => name.startsWith('temp')), [])
  }
  // tsx caches there.
  t.same((await readdir(TMPDIR)).filter(name => !name.startsWith('tsx-')), [])
})
