import { readFileSync } from 'node:fs'
import type { Redis } from 'ioredis'

/** A command with arguments that name its keys or channels. */
export type Command = [name: string, ...words: string[]]

const source = readFileSync(new URL('./check-acl.lua', import.meta.url), 'utf8')

/** Whether the connection's user may run each command. Changes nothing, so it also works on a full server and on a read-only replica. */
export async function mayRun (server: Redis, commands: Command[]): Promise<boolean[]> {
  const answers = await server.eval(source, 0, ...commands.map(words => JSON.stringify(words))) as number[]
  return answers.map(answer => answer === 1)
}
