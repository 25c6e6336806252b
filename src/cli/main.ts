#!/usr/bin/env node
import { FileSystemHangs } from '#src/config/data-dir'
import { withoutArguments } from '#src/log/redact'
import { parseInvocation } from './arguments.ts'
import { UsageError } from './usage.ts'
import { screenOf, toJson } from './output.ts'
import { verbs } from './verbs.ts'

// The second process of this package, beside src/server.ts: arguments in; a result, a sentence and an exit code out.
// Nothing else under src/cli/ knows the process. It never calls `exit`, which would cut off what a pipe has not yet
// taken: it ends when nothing is left to do.

const OK = 0
const FAILED = 1
const WRONG_USAGE = 2
const INTERRUPTED = 130

const { argv, stdout, stderr } = process
const interruption = new AbortController()

/** The second Ctrl-C ends the process at once, as the first does where nobody has called this. */
function holdInterruption (): AbortSignal {
  process.once('SIGINT', () => interruption.abort())
  return interruption.signal
}

// A reader that has seen enough (`| head`) is no failure. A full disk is.
stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
  if (code === 'EPIPE') return
  stderr.write(`The output could not be written: ${message}.\n`)
  process.exitCode = FAILED
})
stderr.on('error', () => {})

try {
  const { verb, args, json } = parseInvocation(argv.slice(2))
  const run = await verbs[verb].load()
  const { document, text, failed = false } = await run({ args, holdInterruption, terminal: stderr })
  stdout.write(json ? toJson(document) : text(screenOf(stdout)))
  process.exitCode ??= interruption.signal.aborted ? INTERRUPTED : failed ? FAILED : OK
} catch (err) {
  const message = withoutArguments((err as Error).message)
  stderr.write(argv.includes('--json') ? toJson({ error: message }) : `${message}\n`)
  process.exitCode = err instanceof UsageError ? WRONG_USAGE : FAILED
  // It would wait for the file system.
  /* c8 ignore next -- a process that is killed writes no coverage; test/data-dir.test.ts sees it end */
  if (err instanceof FileSystemHangs) process.kill(process.pid, 'SIGKILL')
}
