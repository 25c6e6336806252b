import { relative } from 'node:path'

/** The longest path of a unix socket that every system takes, in bytes. */
export const MAX_SOCKET_PATH = 103

/** The same file by its shorter name, absolute or from the working folder: a deep folder may be too long for a socket. */
export function shortestPath (path: string): string {
  const fromHere = relative('', path)
  return fromHere.length < path.length ? fromHere : path
}
