import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'

/** The scripts by name; `lua/<name>.lua` holds each with its keys, arguments and reply. */
export const scriptNames = ['open', 'rotate', 'revoke', 'revoke-all', 'list', 'find', 'update-profile', 'probe'] as const

export type ScriptName = typeof scriptNames[number]

type Command = (...args: Array<string | number>) => Promise<unknown>

export type Scripts = Record<ScriptName, Command>

/** Reads a script and puts the files it includes in their place. */
export function readScript (name: string): string {
  const source = readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), 'utf8')
  return source.replace(/^-- include (.+)\.lua$/m, (_, included: string) => readScript(included))
}

/** Read at the start: a server that joins a Cluster later is taught them without a look at the disk. */
export const sources = Object.fromEntries(scriptNames.map(name => [name, readScript(name)])) as Record<ScriptName, string>

/**
 * Teaches a client the scripts. ioredis sends EVALSHA, and the source itself once a connection or when the server
 * has forgotten it (NOSCRIPT), so that SCRIPT FLUSH and a restart heal by themselves.
 */
export function defineScripts (redis: Redis): Scripts {
  const commands = redis as unknown as Record<string, Command>
  return Object.fromEntries(scriptNames.map(name => {
    const command = `rts:${name}`
    redis.defineCommand(command, { lua: sources[name], numberOfKeys: 1 })
    return [name, commands[command]!.bind(redis)]
  })) as Scripts
}
