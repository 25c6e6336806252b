import { pino, type Logger } from 'pino'
import pretty from 'pino-pretty'

/**
 * An error as the log shows it: what happened and where. Nothing else that hangs on it: ioredis attaches the command
 * with its arguments, which for AUTH is the password.
 */
function serializeError (err: Error & { code?: string }): object {
  return { type: err.name, code: err.code, message: err.message, stack: err.stack }
}

/** Lines of JSON, or of text when a person watches. Bodies and headers are never logged: they hold tokens. */
export function createLogger (level: string): Logger {
  const options = {
    level,
    base: null,
    serializers: {
      err: serializeError,
      req: ({ method, url }: { method: string, url: string }) => ({ method, url: url.split('?')[0] })
    }
  }
  /* c8 ignore next -- the tests have no terminal */
  return process.stdout.isTTY ? pino(options, pretty({ sync: true, ignore: 'pid,hostname' })) : pino(options)
}
