import type { Redis } from 'ioredis'
import { bytes, count } from '#src/cli/output'
import { fail, ok, unknown, warn, type Check } from './check.ts'

/** INFO and CONFIG GET of one server, by name. `settings` is missing where the user may not read them: CONFIG shows passwords. */
export interface Facts {
  info: Record<string, string>
  settings: Record<string, string> | undefined
}

const SETTINGS = ['appendfsync', 'save', 'hash-max-listpack-value', 'hash-max-listpack-entries', 'min-replicas-to-write', 'min-replicas-max-lag']

/** Limits a listpack needs: 64 bytes are too few for long e-mail addresses; fields are two a session, and four a user. */
const LISTPACK_VALUE = 256
const LISTPACK_ENTRIES = 128

export async function readFacts (redis: Redis): Promise<Facts> {
  const info = Object.fromEntries((await redis.info()).split('\r\n').filter(line => line.includes(':')).map(line => {
    const at = line.indexOf(':')
    return [line.slice(0, at), line.slice(at + 1)]
  }))
  // Managed servers have no CONFIG. The users in deploy/redis/users.acl may not use it, because it shows masterauth too.
  const reply = await redis.config('GET', ...SETTINGS as [string]).catch(() => undefined) as string[] | undefined
  return { info, settings: reply && Object.fromEntries(reply.flatMap((name, i) => i % 2 === 0 ? [[name, reply[i + 1]!]] : [])) }
}

/** Checks INFO and the settings of one server. Skips warnings that the embedded server can't satisfy. */
export function serverChecks (facts: Facts, embedded = false): Check[] {
  return [version(facts), role(facts), policy(facts), persistence(facts), memory(facts, embedded), evictions(facts), listpack(facts)]
}

function version ({ info }: Facts): Check {
  const { valkey_version: valkey, redis_version: redis } = info
  return ok('version', valkey === undefined ? `Redis ${redis}` : `Valkey ${valkey}`) // connecting already refuses older versions
}

function role ({ info }: Facts): Check {
  return info.role === 'master'
    ? ok('role', `a master, up for ${count(Number(info.uptime_in_days), 'day')}`)
    : fail('role', 'a replica: it takes no writes', 'let REDIS_URL name the master, or Sentinels that know it')
}

function policy ({ info: { maxmemory_policy: policy } }: Facts): Check {
  return policy === 'noeviction'
    ? ok('policy', 'maxmemory-policy is noeviction')
    : fail('policy', `maxmemory-policy is ${policy}: when memory is short, people are logged out`, 'set maxmemory-policy noeviction')
}

function persistence ({ info, settings }: Facts): Check {
  const failed = ['aof_last_write_status', 'aof_last_bgrewrite_status', 'rdb_last_bgsave_status'].filter(name => info[name] !== 'ok')
  if (failed.length > 0) return fail('persistence', `the last write to the disk failed (${failed.join(', ')})`, 'look at the disk and at the log of Redis')
  if (info.aof_enabled === '1') {
    const { appendfsync } = settings ?? {}
    return appendfsync === 'no'
      ? warn('persistence', 'append-only file with appendfsync no: a crash of the machine loses half a minute', 'set appendfsync everysec')
      : ok('persistence', `append-only file, appendfsync ${appendfsync ?? 'unknown'}; every last write succeeded`)
  }
  const saved = `last snapshot ${new Date(Number(info.rdb_last_save_time) * 1000).toISOString()}, ${count(Number(info.rdb_changes_since_last_save), 'change')} since`
  if (settings?.save === '') return fail('persistence', 'neither append-only file nor snapshots: a restart logs everybody out', 'set appendonly yes')
  const snapshots = settings === undefined ? 'no append-only file, and whether there are snapshots is unknown' : 'snapshots only'
  return warn('persistence', `${snapshots} (${saved}): a crash loses log-ins and log-outs of minutes`, 'set appendonly yes')
}

function memory ({ info }: Facts, embedded: boolean): Check {
  const used = Number(info.used_memory)
  const limit = Number(info.maxmemory) || Number(info.total_system_memory)
  const what = Number(info.maxmemory) > 0 ? `maxmemory ${bytes(limit)}` : `the machine's ${bytes(limit)}, without a maxmemory`
  const share = Math.floor(used / limit * 100)
  const message = `${bytes(used)} used, ${share} % of ${what}`
  if (share >= 95) return fail('memory', message, 'give Redis more memory now: at the limit nobody can log in or refresh')
  if (share >= 75) return warn('memory', message, 'plan for more memory; stats says what a session takes')
  if (Number(info.maxmemory) === 0 && !embedded) return warn('memory', message, 'set maxmemory: else the system kills Redis when memory is short')
  return ok('memory', message)
}

function evictions ({ info: { evicted_keys: evicted, expired_keys: expired } }: Facts): Check {
  return evicted === '0'
    ? ok('evictions', `none since its start; ${count(Number(expired), 'record')} expired with their sessions`)
    : warn('evictions', `${count(Number(evicted), 'record')} evicted since its start, with all their sessions`, 'set maxmemory-policy noeviction, and a maxmemory with room')
}

function listpack ({ settings }: Facts): Check {
  if (settings === undefined) {
    return unknown('listpack', 'the limits are unknown: CONFIG GET is not permitted', 'see that stats counts next to no hashtable')
  }
  const value = Number(settings['hash-max-listpack-value'])
  const entries = Number(settings['hash-max-listpack-entries'])
  const message = `hash-max-listpack-value is ${value}, hash-max-listpack-entries ${entries}`
  return value < LISTPACK_VALUE || entries < LISTPACK_ENTRIES
    ? warn('listpack', `${message}: some users take several times the memory`, `set them to ${LISTPACK_VALUE} and ${LISTPACK_ENTRIES} at least`)
    : ok('listpack', message)
}
