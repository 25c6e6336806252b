import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir, rename, rm, stat } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** A folder is taken by the process with this id. */
export class LockedError extends Error {
  readonly pid: string

  constructor (pid: string) {
    super(`held by process ${pid}`)
    this.pid = pid
  }
}

/** The name of a claim's socket, short as paths of unix sockets must be. */
const CLAIM = /^lock-[0-9a-f]{8}$/

/** The name of a socket that is not shown yet; a claimant that was killed leaves it behind. */
const DRAFT = /^[0-9a-f]{8}$/

/** Milliseconds after which no claimant still makes its socket. */
const DRAFT_AGE = 60_000

/** Milliseconds that another claimant has to answer; one that lives but is stopped does not. */
const PATIENCE = 1000

/**
 * Takes a folder for this process, and for no longer than it lives.
 *
 * Every claimant listens on a unix socket of its own name and shows it in the folder only once it listens, so that a
 * socket which refuses connections belongs to a dead process and can be removed: no name is used twice. A claimant
 * that finds no other alive after showing its own holds the folder. Of two that find each other, one must have shown
 * itself first or they are still claiming, and then the lesser name goes first.
 *
 * @returns what gives the folder back.
 * @throws LockedError when somebody holds it.
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

/** Whether somebody who will give way is still claiming. Throws when it is we who give way. */
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
    if (state !== 'claiming' || name < own) throw new LockedError(pid)
    contested = true
  }
  return contested
}

async function removeOld (draft: string): Promise<void> {
  const { mtimeMs } = await stat(draft).catch(() => ({ mtimeMs: Infinity })) // it is shown by now
  if (Date.now() - mtimeMs > DRAFT_AGE) await rm(draft, { force: true })
}

/** What the claimant at `path` says, '' when it is alive but silent, `undefined` when it is dead. */
async function ask (path: string): Promise<string | undefined> {
  const socket = connect(path).setEncoding('utf8')
  const timer = setTimeout(() => socket.end().destroy(), PATIENCE)
  try {
    await once(socket, 'connect')
  } catch {
    clearTimeout(timer)
    return undefined
  }
  let answer = ''
  try {
    for await (const chunk of socket) answer += chunk
  } catch {
    // cut off in the middle: it was alive
  }
  clearTimeout(timer)
  return answer
}
