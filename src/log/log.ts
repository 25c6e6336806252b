import { pino, type DestinationStream, type Logger } from 'pino'
import { prettyFactory } from 'pino-pretty'
import { createLogOutput, type LogOutput } from './output.ts'
import { withoutArguments } from './redact.ts'

/**
 * An error as the log shows it: what happened and where. Nothing else that hangs on it: ioredis attaches the command
 * with its arguments, which for AUTH is the password.
 */
function serializeError (err: Error & { code?: string }): object {
  return { type: err.name, code: err.code, message: withoutArguments(err.message), stack: withoutArguments(String(err.stack)) }
}

/**
 * Standard output: text when a person watches, else JSON. Node makes a pipe non-blocking when `process.stdout` is read, but
 * leaves a terminal blocking, which Ctrl-S stops.
 */
export function standardOutput (): LogOutput {
  const { isTTY, _handle: handle } = process.stdout as typeof process.stdout & { _handle?: { setBlocking (blocking: boolean): void } }
  if (isTTY) handle?.setBlocking(false)
  const output = createLogOutput(1, isTTY ? prettyFactory({}) : undefined)
  process.on('exit', output.flushSync)
  return output
}

/** Bodies, headers and queries are never logged: they hold tokens. Where `destination` dropped lines, a line says how many. */
export function createLogger (level: string, destination: DestinationStream & Pick<LogOutput, 'onFlow'> = standardOutput()): Logger {
  const options = {
    level,
    base: null,
    serializers: {
      err: serializeError,
      // pino makes the message of an error the line's own, when it is logged alone.
      msg: withoutArguments,
      req: ({ method, url }: { method: string, url: string }) => ({ method, url: url.split('?')[0] })
    }
  }
  const logger = pino(options, destination)
  destination.onFlow = dropped => { logger.warn({ dropped }, 'log lines were dropped, because nothing read them') }
  return logger
}
