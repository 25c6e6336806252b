import { createHash, randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Fills in the files of deploy/redis, as for a deployment. */

const file = async (name: string): Promise<string> => await readFile(`deploy/redis/${name}`, 'utf8')

export interface Passwords {
  service: string
  reader: string
  ops: string
  replication: string
  sentinel: string
  sentinelsOwn: string
  /** Password of a user with all permissions; only tests have this user. */
  admin: string
}

export function makePasswords (): Passwords {
  const one = (): string => randomBytes(24).toString('base64url')
  return { service: one(), reader: one(), ops: one(), replication: one(), sentinel: one(), sentinelsOwn: one(), admin: one() }
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/**
 * Writes users.acl into a folder and returns its path. `channels` replaces `&rt:events`; the default allows any
 * prefix that begins with `rt:`, as the pattern of keys does.
 */
export async function writeUsers (folder: string, passwords: Passwords, channels = '&rt:*events'): Promise<string> {
  const users = (await file('users.acl'))
    .replace(/\{\{([A-Z]+)_PASSWORD_SHA256\}\}/g, (_, name: string) => sha256(passwords[name.toLowerCase() as keyof Passwords]))
    .replaceAll('&rt:events', channels)
  const path = join(folder, 'users.acl')
  await writeFile(path, `${users}user admin on #${sha256(passwords.admin)} ~* &* +@all\n`)
  return path
}

/** Returns redis.conf with the given ACL file and additional lines. */
export async function redisConf (aclFile: string, lines: string[]): Promise<string> {
  const conf = (await file('redis.conf')).replace(/^aclfile .*$/m, aclFile === '' ? '' : `aclfile ${aclFile}`)
  return [conf, ...lines, ''].join('\n')
}

export async function sentinelConf (master: number, passwords: Passwords): Promise<string> {
  return (await file('sentinel.conf'))
    .replaceAll('{{MASTER_HOST}}', '127.0.0.1')
    .replaceAll('{{MASTER_PORT}}', String(master))
    .replaceAll('{{SENTINEL_PASSWORD}}', passwords.sentinel)
    .replaceAll('{{SENTINELS_OWN_PASSWORD}}', passwords.sentinelsOwn)
}
