import { execFileSync } from 'node:child_process'
import { Writable } from 'node:stream'
import t from 'tap'
import { createLogger } from '#src/log/log'
import { nodeArguments } from '../support/processes.ts'

function capture (): { logger: ReturnType<typeof createLogger>, lines: string[] } {
  const lines: string[] = []
  const stream = new Writable({
    write (line, _encoding, done) {
      lines.push(String(line))
      done()
    }
  })
  return { logger: createLogger('info', stream), lines }
}

t.test('a logged error does not show the Redis command', async t => {
  const { logger, lines } = capture()
  logger.error({ err: Object.assign(new Error('WRONGPASS'), { command: { name: 'auth', args: ['app', 'sesame'] }, code: 'X' }) })
  t.match(JSON.parse(lines[0]!), { err: { type: 'Error', code: 'X', message: 'WRONGPASS', stack: /^Error: WRONGPASS\n +at/ } })
  t.notMatch(lines[0], /sesame/)
})

t.test('a logged error does not show the arguments that Redis quotes', async t => {
  const { logger, lines } = capture()
  logger.error({ err: new Error("ERR unknown command 'auth', with args beginning with: 'app' 'sesame' ") })
  t.match(JSON.parse(lines[0]!).err.message, /^ERR unknown command 'auth'$/)
  t.notMatch(lines[0], /sesame/)
})

t.test('a logged request has a method and a path, but no query and no headers', async t => {
  const { logger, lines } = capture()
  logger.info({ req: { method: 'GET', url: '/a?token=sesame', headers: { authorization: 'sesame' } } })
  t.same(JSON.parse(lines[0]!).req, { method: 'GET', url: '/a' })
})

t.test('writes text to a terminal and JSON to a pipe', async t => {
  const command = [process.execPath, ...nodeArguments('test/support/fixtures/hello.ts')].join(' ')
  const run = (file: string, args: string[]): string => execFileSync(file, args, { encoding: 'utf8' })
  t.match(run('script', ['-qec', command, '/dev/null']), /\[\d\d:\d\d:\d\d\.\d{3}\].*INFO.*hello/)
  t.match(JSON.parse(run('sh', ['-c', command])), { level: 30, msg: 'hello' })
})
