import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'
import { eventsChannel, eventStreamKey, userKey } from './records.ts'
import { isCluster, type RedisClient } from './client.ts'
import { addressOf, mastersOf } from './topology.ts'

/** The oldest major version with the features that the scripts use: script flags, EXPIREAT GT, redis.acl_check_cmd. */
export const MIN_VERSION = 7

/** A fault of a server; `text` also says what to change. With a `fatal` fault the service can't work. */
export interface Finding {
  fatal: boolean
  text: string
}

/** A command with arguments that name its keys or channels. */
export type Command = [name: string, ...words: string[]]

/** Decides which commands Redis must permit. */
export interface Needs {
  /** The prefix of all keys. */
  prefix: string
  waitsForReplicas?: boolean
  limitsRates?: boolean
  streamsEvents?: boolean
}

/**
 * Checks every master: its version, its eviction policy, and whether our user may run all commands that the configuration needs.
 * `place` is the address as messages name it.
 * @throws Redis's error when the check itself is forbidden (NOPERM).
 */
export async function checkRedis (redis: RedisClient, needs: Needs, place: string): Promise<Finding[]> {
  const found = await Promise.all(mastersOf(redis).reached.map(async server => {
    const where = isCluster(redis) ? `${addressOf(server)} of ${place}` : place
    // The next checks would fail on an older server or a Sentinel.
    const faults = checkVersion(await server.info('server'), where)
    if (faults.length > 0) return faults
    return [
      ...checkPolicy(await server.info('memory'), where),
      ...await checkPermissions(server, needs, where)
    ]
  }))
  return found.flat()
}

/**
 * Finds Sentinels, and servers without the features that the scripts use (script flags, EXPIREAT GT): Redis before 7.0.
 * `server` is the section "server" of INFO.
 */
export function checkVersion (server: string, place: string): Finding[] {
  const field = (name: string): string | undefined => new RegExp(`^${name}:(\\S+)`, 'm').exec(server)?.[1]
  if (field('redis_mode') === 'sentinel') {
    return [{ fatal: true, text: `${place} (REDIS_URL) is a Sentinel, which holds no data: write redis+sentinel://host:port,…/master.` }]
  }
  const valkey = field('valkey_version')
  const version = valkey ?? field('redis_version')
  if (version === undefined || Number.parseInt(version) >= MIN_VERSION) return []
  return [{
    fatal: true,
    text: `${valkey === undefined ? 'Redis' : 'Valkey'} ${version} at ${place} is too old: Redis or Valkey ${MIN_VERSION}.0 or later is needed.`
  }]
}

/** An evicting server silently ends sessions when its memory is full. */
function checkPolicy (memory: string, place: string): Finding[] {
  const policy = /^maxmemory_policy:(\S+)/m.exec(memory)?.[1]
  if (policy === undefined || policy === 'noeviction') return []
  return [{
    fatal: false,
    text: `maxmemory-policy of ${place} is ${policy}: sessions are thrown away when its memory is full. Set it to noeviction.`
  }]
}

/** The commands that the service and its scripts run. */
export function neededCommands ({ prefix, waitsForReplicas, limitsRates, streamsEvents }: Needs): Command[] {
  const key = userKey(prefix, 1)
  const commands: Command[] = [
    ['EVALSHA', '', '1', key],
    ['TIME'],
    ['HMGET', key, 'email'],
    ['HGETALL', key],
    ['HSET', key, 'email', ''],
    ['HDEL', key, 'email'],
    ['EXPIREAT', key, '0'],
    ['DEL', key],
    ['PUBLISH', eventsChannel(prefix), '']
  ]
  if (waitsForReplicas) commands.push(['WAIT', '1', '1'])
  // A rate limiter that can't count silently admits every request.
  if (limitsRates) commands.push(['INCR', key], ['PEXPIRE', key, '1'], ['PTTL', key])
  if (streamsEvents) commands.push(['XADD', eventStreamKey(prefix), '*', 'type', ''])
  return commands
}

const checkAcl = readFileSync(new URL('./check-acl.lua', import.meta.url), 'utf8')

/** Whether the connection's user may run each command. Changes nothing, so it also works on a full server and on a read-only replica. */
export async function mayRun (server: Redis, commands: Command[]): Promise<boolean[]> {
  const answers = await server.eval(checkAcl, 0, ...commands.map(words => JSON.stringify(words))) as number[]
  return answers.map(answer => answer === 1)
}

async function checkPermissions (server: Redis, needs: Needs, place: string): Promise<Finding[]> {
  const commands = neededCommands(needs)
  const permitted = await mayRun(server, commands)
  const forbidden = commands.filter((_, i) => !permitted[i]).map(([name]) => name)
  if (forbidden.length === 0) return []
  return [{
    fatal: true,
    text: `The user of REDIS_URL may not run ${forbidden.join(', ')} on ${needs.prefix}* at ${place}: deploy/redis/users.acl has what it needs.`
  }]
}
