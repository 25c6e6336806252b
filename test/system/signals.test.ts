import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { request, type ClientRequest, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { environment, guest, postSession, startRedis, startService, type PrivateRedis } from '../support/helper.ts'
import { freePort } from '../support/ports.ts'

/** Signals as terminals, npm and process managers send them: repeated, to a whole process group, or when a terminal closes. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

/** Runs a command in its own terminal; the command's standard input is the keyboard. */
const inTerminal = (command: string): string[] => ['script', '-qfec', command, '/dev/null']

/** Other systems' `script` takes other arguments. */
const noTerminal = process.platform === 'linux' && spawnable('script') ? false : 'needs script(1) of util-linux'

function spawnable (name: string): boolean {
  return process.env.PATH!.split(':').some(folder => existsSync(`${folder}/${name}`))
}

interface Started {
  child: ChildProcess
  publicUrl: string
  internalUrl: string
  output: () => string
  /** Resolves when every process that has the output open has ended. */
  closed: Promise<unknown>
}

/** Starts the service by a command, in its own process group, and waits until it is ready. */
async function start (t: Test, command: string[], env: Record<string, string> = {}): Promise<Started> {
  const ports = { PORT: String(await freePort()), INTERNAL_PORT: String(await freePort()) }
  const child = spawn(command[0]!, command.slice(1), {
    env: { ...process.env, ...environment(redis.url, { LOG_LEVEL: 'info', ...ports, ...env }) }, detached: true, stdio: ['pipe', 'pipe', 'pipe']
  })
  const closed = once(child, 'close')
  let output = ''
  for (const stream of [child.stdout!, child.stderr!]) stream.setEncoding('utf8').on('data', chunk => { output += chunk })
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, 'SIGKILL')
    await closed
  })
  while (!output.includes('refresh-token-service is ready')) await Promise.race([once(child.stdout!, 'data'), closed.then(() => { throw new Error(output) })])
  return { child, output: () => output, closed, publicUrl: `http://127.0.0.1:${ports.PORT}`, internalUrl: `http://127.0.0.1:${ports.INTERNAL_PORT}` }
}

/** Sends half a refresh; `finish` sends the rest and returns the answer. */
async function halfRefresh ({ publicUrl, internalUrl }: Pick<Started, 'publicUrl' | 'internalUrl'>): Promise<{ finish: () => Promise<{ status: number | undefined, body: string }> }> {
  const { refreshToken } = await postSession(internalUrl)
  const body = JSON.stringify({ deviceId: guest.deviceId, refreshToken })
  const slow: ClientRequest = request(`${publicUrl}/api/ps/refresh`, { method: 'POST', headers: { 'content-type': 'application/json', 'content-length': body.length } })
  const answered = once(slow, 'response')
  answered.catch(() => {})
  slow.write(body.slice(0, 10))
  // The service has read the first half when it answers a request that was sent after it.
  await fetch(`${publicUrl}/`)
  return {
    async finish () {
      slow.end(body.slice(10))
      const [answer] = await answered as [IncomingMessage]
      return { status: answer.statusCode, body: await text(answer) }
    }
  }
}

async function stopsListening (url: string): Promise<void> {
  while (await fetch(url).then(() => true, () => false)) await delay(5)
}

t.test('under npm start in a terminal, Ctrl-C lets the request in flight finish', { skip: noTerminal }, async t => {
  const service = await start(t, inTerminal('npm start'))
  const { finish } = await halfRefresh(service)
  service.child.stdin!.write('\x03')
  await stopsListening(service.publicUrl)
  t.match(await finish(), { status: 200, body: /"id":1/ })
  await service.closed
  t.notMatch(service.output(), /second SIG/)
})

t.test('under npm start, a signal to the whole process group lets the request in flight finish', async t => {
  await Promise.all((['SIGTERM', 'SIGINT'] as const).map(async signal => {
    const service = await start(t, ['npm', 'start'])
    const { finish } = await halfRefresh(service)
    process.kill(-service.child.pid!, signal)
    await stopsListening(service.publicUrl)
    t.match(await finish(), { status: 200, body: /"id":1/ }, signal)
    await service.closed
    t.notMatch(service.output(), /second SIG/)
  }))
})

t.test('further signals within a second are ignored; a later one ends the service at once', async t => {
  const { child, exited, line } = await startService(t, environment(redis.url, { SHUTDOWN_DELAY: '600', LOG_LEVEL: 'info' }))
  const start = performance.now()
  child.kill('SIGTERM')
  // Waits until SIGTERM is handled: of two pending signals, the system delivers the lower number first.
  await line('closing')
  while (child.exitCode === null) {
    child.kill('SIGINT')
    await delay(20)
  }
  t.ok(performance.now() - start > 1000, 'further signals within a second are ignored')
  t.same(await exited, [1, null])
  t.match(await line('closing'), /"signal":"SIGTERM"/)
  t.match(await line('second SIGINT'), /exiting/)
})

t.test('SIGHUP without a terminal is ignored', async t => {
  const { child, exited, publicUrl, lines } = await startService(t, environment(redis.url, { LOG_LEVEL: 'info' }))
  child.kill('SIGHUP')
  t.equal((await fetch(`${publicUrl}/`)).status, 404)
  child.kill('SIGTERM')
  t.same(await exited, [0, null])
  t.match(lines.find(line => line.includes('closing')), /"signal":"SIGTERM"/)
})

t.test('closing the terminal ends the service after the request in flight', { skip: noTerminal }, async t => {
  const service = await start(t, inTerminal('echo "process $$"; exec node --import ./scripts/typescript.mjs src/server.ts'))
  const pid = Number(/process (\d+)/.exec(service.output())![1])
  const { finish } = await halfRefresh(service)
  service.child.kill('SIGKILL')
  await stopsListening(service.publicUrl)
  t.match(await finish(), { status: 200, body: /"id":1/ })
  while (isRunning(pid)) await delay(20)
})

function isRunning (pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
