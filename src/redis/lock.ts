import { link, rename, rm } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { once } from 'node:events'

/** A folder is taken by the process with this id. */
export class LockedError extends Error {
  readonly pid: string

  constructor (pid: string) {
    super(`held by process ${pid}`)
    this.pid = pid
  }
}

/**
 * Takes a lock that ends with its holder, however that ends: a unix socket that it listens on. Whoever connects is told
 * the holder's process id; a socket file that nobody listens on is left over from a killed holder.
 *
 * @param path of the socket; at most about 100 bytes, as unix sockets have it.
 * @returns the server to close when done.
 * @throws LockedError when somebody holds it.
 */
export async function takeLock (path: string): Promise<Server> {
  for (;;) {
    const server = createServer(socket => { socket.end(String(process.pid)) })
    try {
      server.listen(path)
      await once(server, 'listening')
      return server.unref()
    } catch (err) {
      if ((err as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw err
    }
    const pid = await askHolder(path)
    if (pid !== undefined) throw new LockedError(pid)
    await removeLeftover(path)
  }
}

/** The process id that the listener at `path` tells, or `undefined` when nobody listens. */
async function askHolder (path: string): Promise<string | undefined> {
  try {
    const socket = connect(path).setEncoding('utf8')
    let pid = ''
    for await (const chunk of socket) pid += chunk
    return pid
  } catch {
    return undefined
  }
}

/**
 * Removes a dead socket file. Two starts may find the same one: whoever is second moves the first one's new socket
 * aside instead, notices that it is alive, and puts it back.
 */
async function removeLeftover (path: string): Promise<void> {
  const aside = `${path}.${process.pid}`
  try {
    await rename(path, aside)
  } catch {
    return // another start was faster
  }
  /* c8 ignore next -- the second of two starts in the same millisecond: no test can make it happen at will */
  if (await askHolder(aside) !== undefined) await link(aside, path).catch(() => {})
  await rm(aside, { force: true })
}
