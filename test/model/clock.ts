import type { Redis } from 'ioredis'

/**
 * A clock that a test turns, for scripts that read Redis's own. The test hands the store a client that swaps the one
 * call in the text of each script as it is defined; what is in `src` knows nothing of it, has no switch for it, and
 * reads `TIME` whenever it is not this client that defines the scripts. So all of a run is a function of its seed.
 */

const TIME = "redis.call('TIME')"

/** What takes its place: the clock stands in a plain key of the test's. */
const turned = (clockKey: string): string =>
  `(function () local ms = redis.call('GET', '${clockKey}') return { math.floor(ms / 1000), ms % 1000 * 1000 } end)()`

/** Changes the text of a script. */
export type Edit = (lua: string, name: string) => string

/** Far ahead of every real clock, so that Redis itself never finds a key that has expired: `setClock` does. */
export const START_MS = Date.UTC(2100, 0)

/** Makes every script that this client learns from now on read the turned clock, and be edited besides. */
export function turnClock (client: Redis, clockKey: string, edit: Edit = lua => lua): void {
  const define = client.defineCommand.bind(client)
  client.defineCommand = (name, definition) => {
    if (!definition.lua.includes(TIME)) throw new Error(`${name} does not read Redis's clock as this test knows it`)
    define(name, { ...definition, lua: edit(definition.lua, name.replace('rts:', '')).replaceAll(TIME, turned(clockKey)) })
  }
}

/** Turns the clock to a moment, and removes the record at `key` if it expires as a whole by then, as Redis does. */
export async function setClock (client: Redis, clockKey: string, ms: number, key: string): Promise<void> {
  const [expiresAt] = await Promise.all([client.pexpiretime(key), client.set(clockKey, ms)])
  if (expiresAt >= 0 && ms > expiresAt) await client.del(key)
}
