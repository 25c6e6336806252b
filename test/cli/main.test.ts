import { existsSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import t from 'tap'
import { parseInvocation } from '#src/cli/arguments'
import { UsageError } from '#src/cli/verb'
import { verbs } from '#src/cli/verbs'
import { startRedis, tempFolder } from '../support/helper.ts'
import { cli, run, spawnCli } from './helper.ts'

/** Arguments, output and exit codes of the command. */

t.test('prints help and version as text and as JSON', async t => {
  const { version } = JSON.parse(await readFile('package.json', 'utf8'))
  const help = await cli(t, ['--help'])
  t.match(help, { code: 0, stderr: '' })
  for (const [verb, { summary }] of Object.entries(verbs)) {
    t.match(help.stdout, new RegExp(`^  ${verb} .*${summary}$`, 'm'))
  }
  t.equal((await run(['stats', '-h'])).text, help.stdout)
  t.equal((await run(['help'])).text, help.stdout)
  t.same((await run(['help', '--json'])).json.verbs.map(({ verb }: { verb: string }) => verb), Object.keys(verbs))
  t.equal((await run(['--version'])).text, `${version}\n`)
  t.same((await cli(t, ['version', '--json'])).json, { version })
})

t.test('docs/cli.md names exactly the verbs of --help', async t => {
  const documented = [...(await readFile('docs/cli.md', 'utf8')).matchAll(/^## `(\w+)/gm)].map(([, verb]) => verb)
  t.same(documented, Object.keys(verbs))
})

t.test('wrong usage prints one sentence and exits with code 2', async t => {
  t.match(await cli(t, ['sessions', '0']), {
    code: 2, stdout: '', stderr: 'The user id must be a whole number from 1 to 9007199254740991, or at most 128 characters of A-Z a-z 0-9 . _ ~ @ | - that begin with a letter or a digit. See refresh-token-service --help.\n'
  })
  const { code, stdout, stderr } = await cli(t, ['--json', 'revoke', '1', 'short'])
  t.same([code, stdout, JSON.parse(stderr)], [2, '', { error: 'The session id must be 22 characters of A-Z a-z 0-9 _ -. See refresh-token-service --help.' }])
  const wrong: Array<[string[], string]> = [
    [['--json'], 'The verb start has no --json: its log is JSON except on a terminal.'],
    [['start', 'now'], 'The usage is: refresh-token-service start.'],
    [['toString'], 'There is no verb "toString".'],
    [['sessions'], 'The usage is: refresh-token-service sessions <userId>.'],
    [['revoke', '1', 'a', 'b'], 'The usage is: refresh-token-service revoke <userId> [sid].'],
    [['stats', 'all'], 'The usage is: refresh-token-service stats.'],
    [['stats', '--fast'], 'Unknown option \'--fast\'.'],
    [['stats', '--json=yes'], 'Option \'--json\' does not take an argument.'],
    [['import', '-', '--rejected', '--dry-run'], 'Option \'--rejected\' argument is ambiguous.']
  ]
  for (const [argv, message] of wrong) {
    t.throws(() => parseInvocation(argv), new UsageError(message), argv.join(' '))
  }
})

t.test('start, or no verb, starts the service', async t => {
  const flags = { dryRun: false, rejected: undefined }
  t.same(parseInvocation([]), { verb: 'start', args: [], flags, json: false })
  const { url } = await startRedis(t)
  const DATA_DIR = await tempFolder(t)
  for (const args of [[], ['start']]) {
    const { child, ended } = spawnCli(t, args, { REDIS_URL: url, DATA_DIR, PORT: '0', INTERNAL_PORT: '0' })
    for await (const line of createInterface(child.stdout!)) if (line.includes('refresh-token-service is ready')) break
    child.kill('SIGTERM')
    t.match(await ended, { code: 0, stderr: '' })
  }
  t.match(await cli(t, [], { PORT: 'x', DATA_DIR }), { code: 1, stdout: '', stderr: /^PORT must be a port number/ })
})

t.test('a session id may begin with a dash', async t => {
  const sid = `-${'a'.repeat(21)}`
  const invocation = { verb: 'revoke', args: ['1', sid], flags: { dryRun: false, rejected: undefined }, json: true }
  t.same(parseInvocation(['revoke', '1', sid, '--json']), invocation)
  t.same(parseInvocation(['revoke', '--json', '1', '--', sid]), invocation)
  t.same(parseInvocation(['revoke', '1', `-${sid.slice(1)}`]).args, ['1', sid])
})

t.test('a failed check exits with code 1', async t => {
  t.match(await cli(t, ['doctor', '--json'], { REDIS_URL: 'redis://127.0.0.1:1' }), { code: 1, stderr: '', json: { ok: false } })
})

t.test('a closed output pipe does not change the exit code', async t => {
  for (const args of [['--help'], ['nonsense']]) {
    const { child, ended } = spawnCli(t, args)
    child.stdout!.destroy()
    child.stderr!.destroy()
    t.equal((await ended).code, args[0] === '--help' ? 0 : 2)
  }
})

t.test('output that can\'t be written exits with code 1', { skip: !existsSync('/dev/full') && 'needs /dev/full' }, async t => {
  const { ended } = spawnCli(t, ['--help'], {}, ['ignore', openSync('/dev/full', 'w'), 'pipe'])
  t.match(await ended, { code: 1, stderr: /^The output could not be written: ENOSPC/ })
})
