import { access, constants, stat, statfs } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { StartError } from '#src/errors'
import { withTimeout } from '#src/timeout'

/** Time limit for operations on a few small files, in milliseconds. */
const TIMEOUT = 5000

/** A disk with fewer free bytes counts as full. */
const ROOM = 16_384

const FULL = 'its disk is full. Free some space, or set DATA_DIR to a folder on another disk.'

/** A file operation does not end, and `process.exit` waits for it: only a signal ends this process. */
export class FileSystemHangs extends StartError {}

/**
 * Runs `work` on files under `dataDir` for at most `timeout` milliseconds.
 * @throws StartError with a sentence that names DATA_DIR, when the system refuses an operation; FileSystemHangs when time is up;
 * every other error of `work` unchanged.
 */
export async function inDataDir<T> (dataDir: string, work: () => Promise<T>, timeout = TIMEOUT): Promise<T> {
  try {
    return await withTimeout(work(), timeout, () => {
      throw new FileSystemHangs(
        `DATA_DIR ${dataDir} can't be used: its file system does not answer. Mount it again, or set DATA_DIR to a folder on a local disk.`
      )
    })
  } catch (err) {
    const { code, syscall } = err as NodeJS.ErrnoException
    if (code === undefined || syscall === undefined) throw err
    // Node reports ENOENT when it can't create a folder together with its missing parents; look for the real cause.
    const cause = code === 'ENOENT' && syscall === 'mkdir' ? await refusal(dirname(resolve(dataDir))) : undefined
    throw unusable(dataDir, await problem(dataDir, cause ?? err as NodeJS.ErrnoException))
  }
}

/** The error of writing to the nearest existing folder; `undefined` when writing is permitted. */
async function refusal (folder: string): Promise<NodeJS.ErrnoException | undefined> {
  return await access(folder, constants.W_OK).then(
    () => undefined,
    async err => err.code === 'ENOENT' ? await refusal(dirname(folder)) : err
  )
}

/** Throws when the disk of `dataDir` is full: a program that can't write its log can't report it. */
export async function refuseFullDisk (dataDir: string): Promise<void> {
  const { bavail, bsize } = await statfs(dataDir)
  if (bavail * bsize < ROOM) throw unusable(dataDir, FULL)
}

function unusable (dataDir: string, problem: string): StartError {
  return new StartError(`DATA_DIR ${dataDir} can't be used: ${problem}`)
}

async function problem (dataDir: string, { code, syscall, path = dataDir, message }: NodeJS.ErrnoException): Promise<string> {
  if ((syscall === 'listen' || syscall === 'link') && /^(EPERM|EOPNOTSUPP|ENOTSUP|EINVAL)$/.test(code!)) {
    return `its file system has no ${syscall === 'listen' ? 'unix sockets' : 'hard links'}. Set DATA_DIR to a folder on a local disk.`
  }
  switch (code) {
    case 'EACCES':
    case 'EPERM': return await permission(dataDir, path)
    case 'EROFS': return 'its file system is read-only. Set DATA_DIR to a folder that can be written.'
    case 'ENOSPC':
    case 'EDQUOT': return FULL
    case 'EEXIST':
    case 'ENOTDIR': return `a file is in the place of a folder, at ${path} or above. Move the file away, or set DATA_DIR to another folder.`
    default: return `${message}. Set DATA_DIR to another folder.`
  }
}

/** The advice depends on the folder's owner: a start as root leaves a folder that other users may not use. */
async function permission (dataDir: string, path: string): Promise<string> {
  const own = process.geteuid!()
  const owner = await stat(dataDir).then(({ uid }) => uid, () => own)
  return owner === own
    ? `user ${own} has no permission for ${path}. Grant it, or set DATA_DIR to a folder of this user.`
    : `it belongs to user ${owner}, perhaps since a start as that user, and this process runs as user ${own}. Give it back with: sudo chown -R ${own} ${shellWord(resolve(dataDir))}`
}

/** The text as one word of a shell command. */
export function shellWord (text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
