import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'

/** Scripts for every server that holds records; `lua/<name>.lua` documents the keys, arguments and reply of each. */
export const scriptNames = [
  'open', 'rotate', 'revoke', 'revoke-all', 'erase', 'list', 'find', 'update-profile', 'check-writable', 'import', 'mark-imported', 'find-imported'
] as const

/** Scripts on data that all replicas of the service share. */
const sharedScripts = ['claim-issuer', 'announce-keys'] as const

export type ScriptName = typeof scriptNames[number]

/** Runs a script: the number of keys, the keys, then the arguments. */
type Run = (keys: number, ...args: Array<string | number>) => Promise<unknown>

export type Scripts = Record<ScriptName, Run>

/** Commands that send the scripts to one server. */
export interface ServerScripts {
  scripts: Scripts
  /** The same with ASKING, for a slot that is migrating to this server. */
  asking: Scripts
}

/** Reads a script and replaces its `include` line with the included file. */
export function readScript (name: string): string {
  const source = readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), 'utf8')
  return source.replace(/^-- include (.+)\.lua$/m, (_, included: string) => readScript(included))
}

/** Read at start-up, so that adding a Cluster server later reads no file. */
export const sources = Object.fromEntries([...scriptNames, ...sharedScripts].map(name => [name, readScript(name)])) as
  Record<ScriptName | typeof sharedScripts[number], string>

/** The name of a script's command on a client. */
export function commandOf (name: ScriptName): string {
  return `rts:${name}`
}

/** Builds a function for every script. */
export function eachScript (define: (name: ScriptName) => Run): Scripts {
  return Object.fromEntries(scriptNames.map(name => [name, define(name)])) as Scripts
}

/**
 * Defines the scripts on a client. ioredis sends EVALSHA; it sends the source once per connection, and again when the server
 * has forgotten it (NOSCRIPT), so a SCRIPT FLUSH or a restart needs no action.
 */
export function defineScripts (redis: Redis): ServerScripts {
  const commands = redis as unknown as Record<string, Run>
  return {
    scripts: eachScript(name => {
      const command = commandOf(name)
      redis.defineCommand(command, { lua: sources[name] })
      return commands[command]!.bind(redis)
    }),
    // ASKING and EVAL in one write. Not EVALSHA: after NOSCRIPT, ioredis would send the script again without ASKING.
    asking: eachScript(name => async (keys, ...args) => {
      const replies = await redis.pipeline().asking().eval(sources[name], keys, ...args).exec()
      const [err, reply] = replies![1]!
      if (err !== null) throw err
      return reply
    })
  }
}
