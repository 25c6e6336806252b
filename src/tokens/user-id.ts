/** A user's id: a positive safe integer, so that it survives JSON, Lua and JavaScript unchanged, or a text that matches `TEXT_ID`. */
export type UserId = number | string

/**
 * The pattern of ids that are texts, such as UUIDs. It excludes digits alone, so that 1 and "1" are not two users of one record;
 * colons, which separate the parts of Redis's keys; and braces, which choose the slot of a Cluster.
 */
export const TEXT_ID = '^(?![0-9]+$)[A-Za-z0-9][A-Za-z0-9._~@|-]{0,127}$'

const textId = new RegExp(TEXT_ID)

export function isUserId (value: unknown): value is UserId {
  return typeof value === 'string' ? textId.test(value) : Number.isSafeInteger(value) && (value as number) > 0
}

/** Reads an id from a path, a query or an argument, where digits alone are a number. `undefined` if the text is no id. */
export function parseUserId (text: string): UserId | undefined {
  const id = /^[1-9][0-9]*$/.test(text) ? Number(text) : text
  return isUserId(id) ? id : undefined
}

/** Returns the id in JSON. The characters of a text id need no escape. */
export function userIdJson (id: UserId): UserId {
  return typeof id === 'number' ? id : `"${id}"`
}
