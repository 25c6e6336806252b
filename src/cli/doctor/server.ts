import type { Redis } from 'ioredis'
import { bytes, count } from '#src/cli/output'
import { isProduction, type Config } from '#src/config/environment'
import { mayRun, type Command } from '#src/redis/checks'
import { userKey } from '#src/redis/records'
import { fail, ok, unknown, warn, type Check } from './check.ts'

/** INFO and CONFIG GET of one server, by name. `settings` is missing where the user may not read them: CONFIG shows passwords. */
export interface Facts {
  info: Record<string, string>
  settings: Record<string, string> | undefined
}

const SETTINGS = ['appendfsync', 'save', 'hash-max-listpack-value', 'hash-max-listpack-entries', 'min-replicas-to-write', 'min-replicas-max-lag']

/** Limits that a listpack needs. 64 bytes are too few for long e-mail addresses. A record has up to five fields, and five a session. */
const LISTPACK_VALUE = 256
const LISTPACK_ENTRIES = 128

export async function readFacts (redis: Redis): Promise<Facts> {
  const info = Object.fromEntries([...(await redis.info()).matchAll(/^(\w+):(.*)\r$/gm)].map(([, name, value]) => [name!, value!]))
  // Managed servers have no CONFIG. The users in deploy/redis/users.acl may not use it, because it shows masterauth too.
  const reply = await redis.config('GET', ...SETTINGS as [string]).catch(() => undefined) as string[] | undefined
  return { info, settings: reply && Object.fromEntries(reply.flatMap((name, i) => i % 2 === 0 ? [[name, reply[i + 1]!]] : [])) }
}

/** Checks INFO and the settings of one server. Skips warnings that the embedded server can't satisfy. */
export function serverChecks ({ info, settings }: Facts, embedded = false): Check[] {
  return [
    // Connecting already refuses older versions.
    ok('version', info.valkey_version === undefined ? `Redis ${info.redis_version}` : `Valkey ${info.valkey_version}`),
    info.role === 'master'
      ? ok('role', `a master, up for ${count(Number(info.uptime_in_days), 'day')}`)
      : fail('role', 'a replica: it takes no writes', 'let REDIS_URL name the master, or Sentinels that know it'),
    info.maxmemory_policy === 'noeviction'
      ? ok('policy', 'maxmemory-policy is noeviction')
      : fail('policy', `maxmemory-policy is ${info.maxmemory_policy}: when memory is short, people are logged out`, 'set maxmemory-policy noeviction'),
    persistenceCheck({ info, settings }),
    memoryCheck(info, embedded),
    info.evicted_keys === '0'
      ? ok('evictions', `none since its start; ${count(Number(info.expired_keys), 'record')} expired with their sessions`)
      : warn('evictions', `${count(Number(info.evicted_keys), 'record')} evicted since its start, with all their sessions`, 'set maxmemory-policy noeviction, and a maxmemory with room'),
    listpackCheck(settings)
  ]
}

function persistenceCheck ({ info, settings }: Facts): Check {
  const failed = ['aof_last_write_status', 'aof_last_bgrewrite_status', 'rdb_last_bgsave_status'].filter(name => info[name] !== 'ok')
  if (failed.length > 0) return fail('persistence', `the last write to the disk failed (${failed.join(', ')})`, 'look at the disk and at the log of Redis')
  if (info.aof_enabled === '1') {
    return settings?.appendfsync === 'no'
      ? warn('persistence', 'append-only file with appendfsync no: a crash of the machine loses half a minute', 'set appendfsync everysec')
      : ok('persistence', `append-only file, appendfsync ${settings?.appendfsync ?? 'unknown'}; every last write succeeded`)
  }
  if (settings?.save === '') return fail('persistence', 'neither append-only file nor snapshots: a restart logs everybody out', 'set appendonly yes')
  const snapshots = settings === undefined ? 'no append-only file, and whether there are snapshots is unknown' : 'snapshots only'
  const saved = `last snapshot ${new Date(Number(info.rdb_last_save_time) * 1000).toISOString()}, ${count(Number(info.rdb_changes_since_last_save), 'change')} since`
  return warn('persistence', `${snapshots} (${saved}): a crash loses log-ins and log-outs of minutes`, 'set appendonly yes')
}

function memoryCheck (info: Facts['info'], embedded: boolean): Check {
  const [used, maximum] = [Number(info.used_memory), Number(info.maxmemory)]
  const limit = maximum || Number(info.total_system_memory)
  const share = Math.floor(used / limit * 100)
  const message = `${bytes(used)} used, ${share} % of ${maximum > 0 ? `maxmemory ${bytes(limit)}` : `the machine's ${bytes(limit)}, without a maxmemory`}`
  if (share >= 95) return fail('memory', message, 'give Redis more memory now: at the limit nobody can log in or refresh')
  if (share >= 75) return warn('memory', message, 'plan for more memory; stats says what a session takes')
  if (maximum === 0 && !embedded) return warn('memory', message, 'set maxmemory: else the system kills Redis when memory is short')
  return ok('memory', message)
}

function listpackCheck (settings: Facts['settings']): Check {
  if (settings === undefined) {
    return unknown('listpack', 'the limits are unknown: CONFIG GET is not permitted', 'see that stats counts next to no hashtable')
  }
  const [value, entries] = [Number(settings['hash-max-listpack-value']), Number(settings['hash-max-listpack-entries'])]
  const message = `hash-max-listpack-value is ${value}, hash-max-listpack-entries ${entries}`
  return value < LISTPACK_VALUE || entries < LISTPACK_ENTRIES
    ? warn('listpack', `${message}: some users take several times the memory`, `set them to ${LISTPACK_VALUE} and ${LISTPACK_ENTRIES} at least`)
    : ok('listpack', message)
}

/**
 * Checks the commands that only this command line runs, and commands that the service's user should not be permitted to run.
 * Connecting has already checked the service's own commands: src/redis/checks.ts.
 */
export async function permissionChecks (redis: Redis, { NODE_ENV, REDIS_PREFIX: prefix }: Config): Promise<Check[]> {
  const key = userKey(prefix, 1)
  const ops: Command[] = [
    ['SCAN', '0'], ['DBSIZE'], ['MEMORY', 'USAGE', key], ['OBJECT', 'ENCODING', key], ['HSCAN', key, '0'], ['HGET', key, 'id'], ['EXPIRETIME', key]
  ]
  const foreignKey = prefix.startsWith('x') ? 'y' : 'x'
  const excess: Command[] = [
    ['FLUSHALL'], ['CONFIG', 'GET', 'masterauth'], ['CONFIG', 'SET', 'save', ''], ['ACL', 'SETUSER', 'x'], ['SHUTDOWN'], ['KEYS', '*'], ['GET', foreignKey]
  ]
  const permitted = await mayRun(redis, [...ops, ...excess])
  const missing = namesOf(ops.filter((_, i) => !permitted[i]))
  const harmful = isProduction({ NODE_ENV }) ? namesOf(excess.filter((_, i) => permitted[ops.length + i])) : ''
  const checks = [missing === ''
    ? ok('permissions', 'the user may run every command of the service and of this command line')
    : warn('permissions', `the user may run every command of the service, but not ${missing}`, 'let ops be the user ops of deploy/redis/users.acl')]
  if (harmful === '') return checks
  return [...checks, warn('permissions', `the service's password also permits ${harmful}`, 'let the service be the user service of deploy/redis/users.acl')]
}

/** Commands as messages name them: with their subcommand, where they have one. */
function namesOf (commands: Command[]): string {
  return commands.map(([name, word]) => /^(MEMORY|OBJECT|CONFIG|ACL)$/.test(name) ? `${name} ${word}` : name).join(', ')
}
