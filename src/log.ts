import { destination as toFile, pino, type DestinationStream, type Logger } from 'pino'
import pretty from 'pino-pretty'
import { withoutArguments } from './redis/message.ts'

/**
 * An error as the log shows it: what happened and where. Nothing else that hangs on it: ioredis attaches the command
 * with its arguments, which for AUTH is the password.
 */
function serializeError (err: Error & { code?: string }): object {
  return { type: err.name, code: err.code, message: withoutArguments(err.message), stack: withoutArguments(String(err.stack)) }
}

/** Where lines go: as text when a person watches, else as JSON. */
function standardOutput (): DestinationStream {
  return process.stdout.isTTY ? pretty({ sync: true }) : toFile({ dest: 1, sync: true })
}

/** Bodies, headers and queries are never logged: they hold tokens. */
export function createLogger (level: string, destination: DestinationStream = standardOutput()): Logger {
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
  return pino(options, destination)
}
