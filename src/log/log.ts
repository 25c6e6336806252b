import { pino, type DestinationStream, type Logger } from 'pino'
import { prettyFactory } from 'pino-pretty'
import { createLogOutput, type LogOutput } from './output.ts'
import { withoutArguments } from './redact.ts'

/**
 * The logged form of an error: type, code, message and stack. Other properties are left out, because ioredis attaches the
 * command with its arguments, and the argument of AUTH is the password.
 */
function serializeError (err: Error & { code?: string }): object {
  return { type: err.name, code: err.code, message: withoutArguments(err.message), stack: withoutArguments(String(err.stack)) }
}

/**
 * Standard output: text on a terminal, else JSON. Node makes a pipe non-blocking when `process.stdout` is first used, but
 * leaves a terminal blocking: Ctrl-S would block the exit.
 */
export function standardOutput (): LogOutput {
  const { isTTY, _handle: handle } = process.stdout as typeof process.stdout & { _handle?: { setBlocking (blocking: boolean): void } }
  if (isTTY) handle?.setBlocking(false)
  const output = createLogOutput(1, isTTY ? prettyFactory({}) : undefined)
  process.on('exit', output.flushSync)
  return output
}

/** Bodies, headers and queries are never logged: they hold tokens. Where `destination` dropped lines, a log line gives their number. */
export function createLogger (level: string, destination: DestinationStream & Pick<LogOutput, 'onFlow'> = standardOutput()): Logger {
  const options = {
    level,
    base: null,
    serializers: {
      err: serializeError,
      // When an error is logged without a message, pino uses the error's message.
      msg: withoutArguments,
      req: ({ method, url }: { method: string, url: string }) => ({ method, url: url.split('?')[0] })
    }
  }
  const logger = pino(options, destination)
  destination.onFlow = dropped => { logger.warn({ dropped }, 'log lines were dropped, because nothing read them') }
  return logger
}
