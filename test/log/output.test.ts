import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, existsSync, openSync, readFileSync, readSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createLogger } from '#src/log/log'
import { createLogOutput, type LogOutput } from '#src/log/output'
import { createMetrics } from '#src/metrics/metrics'
import { createHealth } from '#src/health'
import { environment, startRedis, startService, tempFolder, until } from '../support/helper.ts'
import { nodeArguments } from '../support/processes.ts'

/** The service never waits for the reader of its log, and the buffer of the log is bounded. */

/** A pipe of 64 KiB that this process reads when `read` is called. */
async function openPipe (t: Test): Promise<{ fd: number, read (): string }> {
  const path = join(await tempFolder(t), 'pipe')
  execFileSync('mkfifo', [path])
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
  t.teardown(() => { closeSync(fd) })
  const buffer = Buffer.alloc(1024 * 1024)
  return {
    fd,
    read () {
      try {
        return buffer.toString('latin1', 0, readSync(fd, buffer))
      } catch {
        return ''
      }
    }
  }
}

/** Reads lines until one contains `text`. */
async function readTo (pipe: { read (): string }, text: string): Promise<string[]> {
  let read = ''
  await until(`a line with «${text}»`, () => {
    read += pipe.read()
    return read.includes(text) && read.endsWith('\n')
  })
  return read.trimEnd().split('\n')
}

/** Writes lines of 1 KiB until one is dropped, and returns their number. */
function fill (output: LogOutput): number {
  let lines = 0
  while (output.dropped === 0) output.write(`${String(lines++).padEnd(1023, '.')}\n`)
  return lines
}

t.test('writes lines in order', async t => {
  const pipe = await openPipe(t)
  const output = createLogOutput(pipe.fd)
  for (const line of ['a', 'b', 'c', 'd']) output.write(`${line}\n`)
  t.same(await readTo(pipe, 'd'), ['a', 'b', 'c', 'd'])
  await output.flush()
  t.equal(output.dropped, 0)
})

t.test('when the reader stops, lines beyond the bound are dropped, and one line tells their number', async t => {
  const pipe = await openPipe(t)
  const output = createLogOutput(pipe.fd)
  const logger = createLogger('info', output)
  const metrics = createMetrics(createHealth(), output)
  output.write('first\n')
  await output.flush()
  const lines = fill(output)
  t.ok(lines > 1000 && lines < 2100, `${lines} lines of 1 KiB`)
  output.write('and one more\n'.repeat(100))
  t.match(await metrics.registry.metrics(), /^rts_log_lines_dropped_total 2$/m)

  const began = performance.now()
  await output.flush()
  t.ok(performance.now() - began >= 500, 'flush waits for the reader for a moment')

  const all = await readTo(pipe, '"dropped"')
  logger.info('last')
  all.push(...await readTo(pipe, 'last'))
  t.equal(all[0], 'first')
  t.same(all.slice(1, lines).map(line => Number.parseInt(line)), Array.from({ length: lines - 1 }, (_, i) => i))
  t.match(JSON.parse(all[lines]!), { level: 40, dropped: 2, msg: 'log lines were dropped, because nothing read them' })
  t.match(JSON.parse(all[lines + 1]!), { msg: 'last' })
})

t.test('flushSync writes the buffered lines, and gives up when the pipe stays full', async t => {
  const pipe = await openPipe(t)
  const output = createLogOutput(pipe.fd)
  for (const line of ['a', 'b', 'c']) output.write(`${line}\n`)
  output.flushSync()
  await output.flush()
  t.same((await readTo(pipe, 'c')).sort(), ['a', 'b', 'c'])

  output.write(`${'x'.repeat(100_000)}\n`)
  await output.flush()
  output.write('y\n')
  const began = performance.now()
  output.flushSync()
  t.ok(performance.now() - began >= 500, 'the pipe is full')
  while (pipe.read() !== '');
  output.write('z\n')
  t.same((await readTo(pipe, 'z')).at(-1), 'z', 'the output still works')
})

t.test('a failing destination drops lines and throws no error', async t => {
  const fd = openSync('/dev/full', 'w')
  t.teardown(() => { closeSync(fd) })
  const output = createLogOutput(fd)
  output.write('a\n')
  output.write('b\n')
  await output.flush()
  t.equal(output.dropped, 2)
  output.write('c\n')
  output.write('d\n')
  const began = performance.now()
  output.flushSync()
  t.ok(performance.now() - began < 500, 'it is not retried')
})

for (const [what, command] of [
  ['a pipe', 'exec "$0" "$@"'],
  ['a terminal', 'exec script -qec "$0 $*" /dev/null']
] as const) {
  t.test(`${what} that nobody reads blocks neither the process nor its end`, async t => {
    const mark = join(await tempFolder(t), 'mark')
    const child = spawn('sh', ['-c', command, process.execPath, ...nodeArguments('test/support/fixtures/talk.ts'), mark], { stdio: ['ignore', 'pipe', 'inherit'] })
    t.teardown(() => { child.kill('SIGKILL') })
    const pid = (): string => existsSync(mark) ? readFileSync(mark, 'utf8') : ''
    await until('the process has written its lines', () => pid() !== '')
    // Z: the process has ended, but its parent, which is blocked, has not reaped it.
    await until('the process has ended', () => !existsSync(`/proc/${pid()}`) || / Z /.test(readFileSync(`/proc/${pid()}/stat`, 'utf8')))
    t.pass(what)
  })
}

t.test('a service whose log nobody reads answers requests and ends', async t => {
  const redis = await startRedis(t)
  const { child, publicUrl, internalUrl } = await startService(t, environment(redis.url, { LOG_LEVEL: 'debug' }))
  child.stdout!.pause()
  const body = '{"deviceId":"x","refreshToken":"x.y.z"}'
  const socket = connect(Number(new URL(publicUrl).port), '127.0.0.1').setEncoding('latin1')
  t.teardown(() => { socket.destroy() })
  let answers = 0
  socket.on('data', (text: string) => { answers += text.split('HTTP/1.1 400').length - 1 })
  socket.write(`POST /api/ps/refresh HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`.repeat(2000))
  await until('2000 answers, and a line for each that nobody reads', () => answers > 1990)
  t.equal((await fetch(`${internalUrl}/healthz`, { signal: AbortSignal.timeout(10_000) })).status, 200)
  child.kill('SIGTERM')
  t.same(await once(child, 'exit'), [0, null])
})
