#!/usr/bin/env node
import { FileSystemHangs } from '#src/config/data-dir'
import { withoutArguments } from '#src/log/redact'
import { parseInvocation } from './arguments.ts'
import { UsageError } from './usage.ts'
import { screenOf, toJson } from './output.ts'
import { verbs } from './verbs.ts'

// Entry point of the command line, beside src/server.ts: takes arguments; gives a result or an error sentence, and an exit code.
// No other file under src/cli/ touches the process. This file never calls `exit`, which would cut off output that a pipe
// has not yet taken: the process ends when nothing is left to do.

const OK = 0
const FAILED = 1
const WRONG_USAGE = 2
const INTERRUPTED = 130

const { argv, stdout, stderr } = process
const interruption = new AbortController()

/** After this call the second Ctrl-C ends the process at once; without it, the first does. */
function holdInterruption (): AbortSignal {
  process.once('SIGINT', () => interruption.abort())
  return interruption.signal
}

// A reader that closes the pipe early (`| head`) is no failure. A full disk is.
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
  // An ordinary end would wait for the file system.
  /* c8 ignore next -- a process that is killed writes no coverage; test/embedded/data-dir.test.ts sees it end */
  if (err instanceof FileSystemHangs) process.kill(process.pid, 'SIGKILL')
}
