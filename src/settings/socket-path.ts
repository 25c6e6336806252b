import { relative } from 'node:path'

/** Longest path of a unix socket that every system accepts, in bytes. */
export const MAX_SOCKET_PATH = 103

/** The shorter of the file's absolute path and its path from the working folder: a deep path may be too long for a socket. */
export function shortestPath (path: string): string {
  const fromHere = relative('', path)
  return fromHere.length < path.length ? fromHere : path
}
