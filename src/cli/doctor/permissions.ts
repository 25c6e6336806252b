import type { Redis } from 'ioredis'
import { isProduction, type Config } from '#src/config/environment'
import { mayRun, type Command } from '#src/redis/acl'
import { userKey } from '#src/redis/keys'
import { ok, warn, type Check } from './check.ts'

/** Commands that only this command line runs, never the service. */
export function opsCommands (prefix: string): Command[] {
  const key = userKey(prefix, 1)
  return [
    ['SCAN', '0'], ['DBSIZE'], ['MEMORY', 'USAGE', key], ['OBJECT', 'ENCODING', key], ['HSCAN', key, '0']
  ]
}

/** Commands that the service's user should not be permitted to run. */
function excessCommands (prefix: string): Command[] {
  const foreign = prefix.startsWith('x') ? 'y' : 'x'
  return [['FLUSHALL'], ['CONFIG', 'GET', 'masterauth'], ['CONFIG', 'SET', 'save', ''], ['ACL', 'SETUSER', 'x'], ['SHUTDOWN'], ['KEYS', '*'], ['GET', foreign]]
}

/** Commands with subcommands: messages name the subcommand too. */
const CONTAINERS = new Set(['MEMORY', 'OBJECT', 'CONFIG', 'ACL'])

/** Connecting has already checked that the service's own commands are permitted: src/redis/checks.ts. */
export async function permissionChecks (redis: Redis, { NODE_ENV, REDIS_PREFIX: prefix }: Config): Promise<Check[]> {
  const [ops, excess] = [opsCommands(prefix), excessCommands(prefix)]
  const permitted = await mayRun(redis, [...ops, ...excess])
  const missing = namesOf(ops.filter((_, i) => !permitted[i]))
  const harmful = namesOf(excess.filter((_, i) => permitted[ops.length + i]))
  return [
    missing === ''
      ? ok('permissions', 'the user may do all that the service and this command line do')
      : warn('permissions', `the user may do all that the service does, but not ${missing}`, 'let ops be the user ops of deploy/redis/users.acl'),
    ...(harmful === '' || !isProduction({ NODE_ENV })
      ? []
      : [warn('permissions', `whoever has the service's password may also do ${harmful}`, 'let the service be the user service of deploy/redis/users.acl')])
  ]
}

function namesOf (commands: Command[]): string {
  return commands.map(([name, word]) => CONTAINERS.has(name) ? `${name} ${word}` : name).join(', ')
}
