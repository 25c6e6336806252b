import { execFile } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { StartError } from '#src/errors'
import { MIN_VERSION } from '#src/redis/checks'

/** Time limit for a server to print its version, in milliseconds. */
const VERSION_TIMEOUT = 2000

/** How to get a Redis, by package manager. */
const install: Record<string, string> = {
  'apt-get': '`sudo apt-get install redis-server`',
  dnf: '`sudo dnf install redis`, or `sudo dnf install valkey`',
  apk: '`apk add redis`',
  brew: '`brew install redis`'
}

/** How to get a newer Redis on a system with an older one, by package manager. */
const newer: Record<string, string> = {
  'apt-get': 'the packages of packages.redis.io (docs/redis.md has the commands)',
  dnf: '`sudo dnf module switch-to redis:7`, or `sudo dnf install valkey`',
  apk: 'a newer Alpine (3.17 has Redis 7.0)',
  brew: '`brew upgrade redis`'
}

/** The paths of all programs of this name on a PATH. */
async function onPath (path: string, name: string): Promise<string[]> {
  const files = path.split(delimiter).map(folder => join(folder, name))
  const isProgram = await Promise.all(files.map(async file => await access(file, constants.X_OK).then(() => true, () => false)))
  return files.filter((_, i) => isProgram[i])
}

/**
 * The first redis-server or valkey-server on the PATH that is new enough.
 * @throws StartError when there is none. It names each server that is too old or does not run, and the ways to get a newer one.
 */
export async function findServer (path: string): Promise<string> {
  const files = [...await onPath(path, 'redis-server'), ...await onPath(path, 'valkey-server')]
  const unfit: string[] = []
  for (const file of files) {
    const fault = await faultOf(file)
    if (fault === undefined) return file
    unfit.push(`${file} ${fault}`)
  }
  if (unfit.length === 0) {
    throw new StartError('REDIS_URL is not set, and there is no redis-server or valkey-server on the PATH to start. ' + await waysTo(install, path))
  }
  throw new StartError(`REDIS_URL is not set, and ${unfit.join(', and ')}: Redis or Valkey ${MIN_VERSION}.0 or later is needed. ` +
    await waysTo(newer, path))
}

/** A sentence with the ways of the package managers on this machine, and of containers. */
async function waysTo (ways: Record<string, string>, path: string): Promise<string> {
  const found = await Promise.all(Object.entries(ways).map(async ([manager, way]) => (await onPath(path, manager)).length > 0 ? [`${way}; `] : []))
  return `Ways to one: ${found.flat().join('')}\`docker run -d -p 127.0.0.1:6379:6379 redis:7\` with REDIS_URL=redis://127.0.0.1:6379.`
}

/** The fault of a server, as "is version …" or "does not run …"; `undefined` when it is new enough or its version can't be read. */
async function faultOf (file: string): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(file, ['--version'], { timeout: VERSION_TIMEOUT, killSignal: 'SIGKILL' })
    const [, version] = /\bv=(\S+)/.exec(stdout) ?? []
    return version !== undefined && Number.parseInt(version) < MIN_VERSION ? `is version ${version}` : undefined
  } catch (err) {
    const { stderr = '', message } = err as Error & { stderr?: string }
    return `does not run (${(stderr.trim() || message).split('\n')[0]})`
  }
}
