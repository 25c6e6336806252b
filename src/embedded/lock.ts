import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir, rename, rm, stat } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
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

/** Milliseconds to wait for another claimant's answer. */
const ANSWER_TIMEOUT = 1000

/**
 * Locks a folder for this process. The lock ends with the process at the latest.
 *
 * Every claimant listens on a unix socket with a unique name and publishes it (renames it to its claim name) only once it
 * listens. So a published socket that refuses connections belongs to a dead process and can be removed. A claimant holds the
 * folder when it has published its own socket and then finds no other live claimant. When two claimants find each other,
 * a holder wins; if both are still claiming, the lesser name wins.
 *
 * A single socket under a fixed name would not do: two starts could find the same dead socket, the slower one would remove the
 * new socket of the faster, and two servers would write one append-only file.
 *
 * @returns the function that releases the folder.
 * @throws LockedError when another process holds the folder, or wins the claim.
 */
export async function takeLock (folder: string): Promise<() => Promise<void>> {
  const id = randomBytes(4).toString('hex')
  const name = `lock-${id}`
  let state = 'claiming'
  const server = createServer(socket => { socket.on('error', () => {}).end(`${state} ${process.pid}`) }).listen(join(folder, id)).unref()
  await once(server, 'listening')
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

/** Whether another claimant, which will give way, is still claiming. Throws LockedError when this process must give way. */
async function isContested (folder: string, own: string): Promise<boolean> {
  let contested = false
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    if (DRAFT.test(name) && await isOld(path)) await rm(path, { force: true })
    if (name === own || !CLAIM.test(name)) continue
    const answer = await ask(path)
    if (answer === undefined) {
      await rm(path, { force: true })
      continue
    }
    const [state, pid = 'unknown'] = answer.split(' ')
    // A claimant that broke off its answer is about to end, and is asked again.
    if (state !== '' && (state !== 'claiming' || name < own)) throw new LockedError(pid)
    contested = true
  }
  return contested
}

async function isOld (draft: string): Promise<boolean> {
  const { mtimeMs } = await stat(draft).catch(() => ({ mtimeMs: Infinity })) // renamed or removed meanwhile
  return Date.now() - mtimeMs > DRAFT_AGE
}

/** The answer of the claimant at `path`: 'silent' for a suspended process, '' for one that broke off, `undefined` for a dead one. */
async function ask (path: string): Promise<string | undefined> {
  let answer: string | undefined
  const socket = connect(path, () => { answer = '' }).setEncoding('utf8')
  socket.on('data', chunk => { answer = `${answer}${chunk}` })
  socket.setTimeout(ANSWER_TIMEOUT, () => {
    answer = 'silent'
    socket.destroy()
  })
  await once(socket, 'close').catch(() => {}) // refused, or broken off
  return answer
}
