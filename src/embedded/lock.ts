import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir, rename, rm, stat } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** The process with this id holds the folder. */
export class LockedError extends Error {
  readonly pid: string

  constructor (pid: string) {
    super(`held by process ${pid}`)
    this.pid = pid
  }
}

/** Name of a claimant's socket; short, because paths of unix sockets are limited. */
const CLAIM = /^lock-[0-9a-f]{8}$/

/** Name of a socket before its claimant publishes it. A claimant killed at this point leaves it behind. */
const DRAFT = /^[0-9a-f]{8}$/

/** Age at which an unpublished socket counts as abandoned, in milliseconds. */
const DRAFT_AGE = 60_000

/** Stands for the answer of a live claimant that gives none. */
const SILENT = 'silent'

/** Milliseconds to wait for another claimant's answer; a suspended process does not answer. */
const PATIENCE = 1000

/**
 * Locks a folder for this process. The lock ends with the process at the latest.
 *
 * Every claimant listens on a unix socket with a unique name and publishes it (renames it to its claim name) only once it
 * listens. So a published socket that refuses connections belongs to a dead process and can be removed. A claimant holds the
 * folder when it has published its own socket and then finds no other live claimant. When two claimants find each other,
 * a holder wins; if both are still claiming, the lesser name wins.
 *
 * @returns the function that releases the folder.
 * @throws LockedError when another process holds the folder, or wins the claim.
 */
export async function takeLock (folder: string): Promise<() => Promise<void>> {
  const id = randomBytes(4).toString('hex')
  const name = `lock-${id}`
  let state = 'claiming'
  const server = createServer(socket => { socket.on('error', () => {}).end(`${state} ${process.pid}`) })
  await listen(server, join(folder, id))
  await rename(join(folder, id), join(folder, name))
  const release = async (): Promise<void> => {
    await rm(join(folder, name), { force: true })
    server.close()
  }
  try {
    while (await isContested(folder, name)) await delay(10)
  } catch (err) {
    await release()
    throw err
  }
  state = 'holding'
  return release
}

async function listen (server: Server, path: string): Promise<void> {
  server.listen(path)
  await once(server, 'listening')
  server.unref()
}

/** Whether another claimant, which will give way, is still claiming. Throws LockedError when this process must give way. */
async function isContested (folder: string, own: string): Promise<boolean> {
  let contested = false
  for (const name of await readdir(folder)) {
    if (DRAFT.test(name)) await removeOld(join(folder, name))
    if (name === own || !CLAIM.test(name)) continue
    const answer = await ask(join(folder, name))
    if (answer === undefined) {
      await rm(join(folder, name), { force: true })
      continue
    }
    const [state, pid = 'unknown'] = answer.split(' ')
    // A claimant that broke off its answer is about to end, and is asked again.
    if (state !== '' && (state !== 'claiming' || name < own)) throw new LockedError(pid)
    contested = true
  }
  return contested
}

async function removeOld (draft: string): Promise<void> {
  const { mtimeMs } = await stat(draft).catch(() => ({ mtimeMs: Infinity })) // renamed or removed meanwhile
  if (Date.now() - mtimeMs > DRAFT_AGE) await rm(draft, { force: true })
}

/** Returns the answer of the claimant at `path`: `SILENT` for a suspended one, '' for one that broke off, `undefined` for a dead one. */
async function ask (path: string): Promise<string | undefined> {
  const socket = connect(path).setEncoding('utf8')
  let answer = ''
  const timer = setTimeout(() => {
    answer = SILENT
    socket.end().destroy()
  }, PATIENCE)
  try {
    await once(socket, 'connect')
  } catch {
    clearTimeout(timer)
    return undefined
  }
  try {
    for await (const chunk of socket) answer += chunk
  } catch {
    // The connection broke after it was made: the claimant was alive.
  }
  clearTimeout(timer)
  return answer
}
