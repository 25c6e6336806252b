import type { Redis } from 'ioredis'

/**
 * A clock set by the test, in place of Redis's own. The test gives the store a client that replaces the `TIME` call in each
 * script's text when the script is defined. `src` needs no switch: scripts defined by any other client read `TIME`. A run then
 * depends only on its seed.
 */

const TIME = "redis.call('TIME')"

/** The replacement for `TIME`: reads the clock from a plain key of the test. */
const turned = (clockKey: string): string =>
  `(function () local ms = redis.call('GET', '${clockKey}') return { math.floor(ms / 1000), ms % 1000 * 1000 } end)()`

/** Changes the text of a script. */
export type Edit = (lua: string, name: string) => string

/** Far ahead of every real clock, so that `setClock` expires keys and Redis never does. */
export const START_MS = Date.UTC(2100, 0)

/** Makes every script that this client defines from now on read the test's clock; applies `edit` to its text too. */
export function turnClock (client: Redis, clockKey: string, edit: Edit = lua => lua): void {
  const define = client.defineCommand.bind(client)
  client.defineCommand = (name, definition) => {
    if (!definition.lua.includes(TIME)) throw new Error(`${name} does not read Redis's clock as this test knows it`)
    define(name, { ...definition, lua: edit(definition.lua, name.replace('rts:', '')).replaceAll(TIME, turned(clockKey)) })
  }
}

/** Sets the clock, and removes the record at `key` if the key has expired by then, as Redis does. */
export async function setClock (client: Redis, clockKey: string, ms: number, key: string): Promise<void> {
  const [expiresAt] = await Promise.all([client.pexpiretime(key), client.set(clockKey, ms)])
  if (expiresAt >= 0 && ms > expiresAt) await client.del(key)
}
