#!/usr/bin/env node
import { FileSystemHangs } from '#src/config/data-dir'
import { withoutArguments } from '#src/log/redact'
import { parseInvocation } from './arguments.ts'
import { screenOf, toJson } from './output.ts'
import { UsageError } from './verb.ts'
import { verbs } from './verbs.ts'

// Entry point of the command line: takes arguments; writes a result or an error sentence, and sets the exit code. Only this file
// and src/server.ts, which it starts, end the process. This file never calls `exit`: output that a pipe has not yet taken would be lost.

const OK = 0
const FAILED = 1
const WRONG_USAGE = 2
const INTERRUPTED = 130

const { argv, stdin, stdout, stderr } = process
const interruption = new AbortController()

/** Before this call the first Ctrl-C ends the process at once; after it, the second. */
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
  const { verb, args, flags, json } = parseInvocation(argv.slice(2))
  const result = await verbs[verb].run({ args, flags, holdInterruption, terminal: stderr, input: stdin, output: stdout })
  if (result !== undefined) {
    const { document, text, failed = false, isAside = false } = result
    ;(isAside ? stderr : stdout).write(json ? toJson(document) : text(screenOf(isAside ? stderr : stdout)))
    process.exitCode ??= interruption.signal.aborted ? INTERRUPTED : failed ? FAILED : OK
  }
} catch (err) {
  const message = withoutArguments((err as Error).message)
  stderr.write(argv.includes('--json') ? toJson({ error: message }) : `${message}\n`)
  process.exitCode = err instanceof UsageError ? WRONG_USAGE : FAILED
  // An ordinary end would wait for the file system.
  /* c8 ignore next -- a process that is killed writes no coverage; test/system/embedded-data-dir.test.ts sees it end */
  if (err instanceof FileSystemHangs) process.kill(process.pid, 'SIGKILL')
}
