import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'

/** The scripts by name; `lua/<name>.lua` holds each with its keys, arguments and reply. */
export const scriptNames = ['open', 'rotate', 'revoke', 'revoke-all', 'list', 'find', 'update-profile', 'probe'] as const

export type ScriptName = typeof scriptNames[number]

/** Runs a script: its key, then its arguments. */
export type Command = (...args: Array<string | number>) => Promise<unknown>

export type Scripts = Record<ScriptName, Command>

/** How one server is sent scripts. */
export interface ServerScripts {
  scripts: Scripts
  /** The same for a slot that is on its way to this server: it takes commands that say ASKING. */
  asking: Scripts
}

/** Reads a script and puts the files it includes in their place. */
export function readScript (name: string): string {
  const source = readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), 'utf8')
  return source.replace(/^-- include (.+)\.lua$/m, (_, included: string) => readScript(included))
}

/** Read at the start: a server that joins a Cluster later is taught them without a look at the disk. */
export const sources = Object.fromEntries(scriptNames.map(name => [name, readScript(name)])) as Record<ScriptName, string>

/** A command for every script. */
export function eachScript (define: (name: ScriptName) => Command): Scripts {
  return Object.fromEntries(scriptNames.map(name => [name, define(name)])) as Scripts
}

/**
 * Teaches a client the scripts. ioredis sends EVALSHA, and the source itself once a connection or when the server
 * has forgotten it (NOSCRIPT), so that SCRIPT FLUSH and a restart heal by themselves.
 */
export function defineScripts (redis: Redis): ServerScripts {
  const commands = redis as unknown as Record<string, Command>
  return {
    scripts: eachScript(name => {
      const command = `rts:${name}`
      redis.defineCommand(command, { lua: sources[name], numberOfKeys: 1 })
      return commands[command]!.bind(redis)
    }),
    // Both in one write, and EVAL: what NOSCRIPT makes ioredis send again would go without ASKING.
    asking: eachScript(name => async (...args) => {
      const replies = await redis.pipeline().asking().eval(sources[name], 1, ...args).exec()
      const [err, reply] = replies![1]!
      if (err !== null) throw err
      return reply
    })
  }
}
