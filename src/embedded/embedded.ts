import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import { Redis } from 'ioredis'
import { inDataDir, refuseFullDisk } from '#src/config/data-dir'
import { StartError } from '#src/errors'
import { findServer } from './binary.ts'
import { LockedError, takeLock } from './lock.ts'
import { MAX_SOCKET_PATH, shortestPath } from '#src/settings/socket-path'
import { logLength, startFailure } from './start-failure.ts'

/** A Redis server of our own, for one service on one machine. */
export interface EmbeddedRedis {
  /** Its `REDIS_URL`. */
  url: string
  /** Ends the server; resolves when its process is gone. */
  stop (): Promise<void>
}

/**
 * Runs the server in the background and ends it when standard input closes. Standard input closes whenever the service ends,
 * even by SIGKILL. The supervisor is a shell script because every machine with Redis has a shell.
 */
const SUPERVISOR = `
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
{ read -r _ <&3; kill "$server"; } 2>/dev/null &
watcher=$!
exec 3<&-
wait "$server"; code=$?
kill "$watcher" 2>/dev/null
exit "$code"`

/** Time limit for the server to start listening, in milliseconds. */
const START_TIMEOUT = 5000

/** Milliseconds before a stopping server is killed: our own shutdown has a deadline. Its writes are with the operating system already. */
const STOP_TIMEOUT = 900

/** Milliseconds before a dead server is started again. */
const RESTART_DELAY = 500

/** Time limit for taking the lock, in milliseconds: a suspended claimant costs one second. */
const LOCK_TIMEOUT = 30_000

/** Number of last characters of standard error to keep. */
const MAX_ERRORS = 4000

/** Everything that a start of the embedded server needs. */
export interface EmbeddedPlan {
  dataDir: string
  /** Absolute path of the server's folder. */
  folder: string
  /** The same folder by its shortest path, for sockets. */
  sockets: string
  binary: string
}

/**
 * Finds everything that the embedded server needs. Creates nothing.
 * @throws StartError when no server on the PATH will do, or `dataDir` is too long for a socket.
 */
export async function planEmbeddedRedis (dataDir: string): Promise<EmbeddedPlan> {
  const folder = resolve(dataDir, 'redis')
  const sockets = shortestPath(folder)
  // A lock has the longest name in this folder.
  if (Buffer.byteLength(join(sockets, 'lock-01234567')) > MAX_SOCKET_PATH) {
    throw new StartError(`DATA_DIR must be a shorter path: sockets in ${sockets} would have longer names than the system allows.`)
  }
  return { dataDir, folder, sockets, binary: await findServer(process.env.PATH ?? '') }
}

/**
 * Starts the planned server with its append-only file under `dataDir`, on a unix socket. When it dies it is started again.
 * @throws StartError when another service uses `dataDir`, its files can't be used, or the server doesn't start.
 */
export async function startEmbeddedRedis (plan: EmbeddedPlan, log: FastifyBaseLogger): Promise<EmbeddedRedis> {
  const { dataDir, folder, sockets, binary } = plan
  await inDataDir(dataDir, async () => await mkdir(folder, { recursive: true, mode: 0o700 }))
  const release = await inDataDir(dataDir, async () => await lockFolder(dataDir, sockets), LOCK_TIMEOUT)
  const socketPath = join(sockets, 'redis.sock')

  let child: ChildProcess | undefined
  let stopping = false
  const stop = async (): Promise<void> => {
    stopping = true
    if (child !== undefined) await endChild(child)
    await release()
  }
  const restart = (code: number | null): void => {
    if (stopping) return
    log.error({ code }, 'the embedded Redis ended; it is started again')
    // The supervisor may have died and left the server running.
    killGroup(child!)
    setTimeout(() => { if (!stopping) child = spawnServer(binary, folder).once('exit', restart) }, RESTART_DELAY).unref()
  }

  try {
    await endOrphan(socketPath)
    const start = await logLength(folder)
    child = spawnServer(binary, folder)
    let errors = ''
    child.stderr!.setEncoding('utf8').on('data', text => { errors = (errors + text).slice(-MAX_ERRORS) })
    if (!await listens(socketPath, child)) {
      await refuseFullDisk(dataDir)
      throw new StartError(await startFailure(binary, folder, start, errors))
    }
  } catch (err) {
    await stop()
    throw err
  }
  child.once('exit', restart)
  return { url: socketUrl(resolve(socketPath)), stop }
}

/**
 * The `REDIS_URL` of a running service's embedded server under `dataDir`; `undefined` when no server answers.
 * @throws StartError when this process may not read the folder.
 */
export async function findEmbeddedRedis (dataDir: string): Promise<string | undefined> {
  const socketPath = resolve(dataDir, 'redis', 'redis.sock')
  await inDataDir(dataDir, async () => await stat(socketPath).catch(err => { if (err.code !== 'ENOENT') throw err }))
  return await accepts(shortestPath(socketPath)) ? socketUrl(socketPath) : undefined
}

/** The path as a URL, with special characters encoded. */
function socketUrl (path: string): string {
  return `redis+socket://${path.split('/').map(encodeURIComponent).join('/')}`
}

async function lockFolder (dataDir: string, path: string): Promise<() => Promise<void>> {
  try {
    return await takeLock(path)
  } catch (err) {
    if (err instanceof LockedError) throw new StartError(`DATA_DIR ${dataDir} is in use by the service with process id ${err.pid}.`)
    throw err
  }
}

/** Starts the server in a session of its own, so that Ctrl-C in the terminal lets the service drain before its Redis ends. */
function spawnServer (binary: string, folder: string): ChildProcess {
  const settings = [
    '--port', '0', '--unixsocket', 'redis.sock', '--unixsocketperm', '700', '--dir', folder,
    '--appendonly', 'yes', '--save', '', '--maxmemory-policy', 'noeviction', '--hash-max-listpack-value', '256',
    '--daemonize', 'no', '--logfile', 'redis.log', '--loglevel', 'notice'
  ]
  return spawn('/bin/sh', ['-c', SUPERVISOR, 'embedded-redis', binary, ...settings], {
    detached: true,
    stdio: ['pipe', 'ignore', 'pipe']
  })
}

/** Shuts the server down by closing standard input. Kills a server that hangs or has lost its supervisor. */
async function endChild (child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const gone = once(child, 'exit')
    const timer = setTimeout(() => killGroup(child), STOP_TIMEOUT)
    child.stdin!.end()
    await gone
    clearTimeout(timer)
  }
  killGroup(child)
}

/** Kills all remaining processes of the supervisor's process group. */
function killGroup (child: ChildProcess): void {
  try {
    process.kill(-child.pid!, 'SIGKILL')
  } catch {
    // no process is left
  }
}

/** Waits until the server answers; false when the child ends before, or time is up. */
async function listens (socketPath: string, child: ChildProcess): Promise<boolean> {
  const end = performance.now() + START_TIMEOUT
  let isLoading = false
  while (child.exitCode === null && performance.now() < end) {
    const answer = await ping(socketPath)
    isLoading = answer?.startsWith('-LOADING') === true
    if (answer !== undefined && !isLoading) return true
    await delay(10)
  }
  // A server with much data goes on loading; its first connection waits for the end.
  /* c8 ignore next -- no test has so much data */
  return isLoading && child.exitCode === null
}

/** Returns the answer to a PING, if there is one. A server listens, and answers `-LOADING`, before it finds that it can't read its data. */
async function ping (socketPath: string): Promise<string | undefined> {
  const socket = connect(socketPath).setTimeout(START_TIMEOUT, () => socket.destroy()).on('error', () => {})
  socket.write('PING\r\n')
  const answer = await Promise.race([once(socket, 'data').then(String), once(socket, 'close').then(() => undefined)]).catch(() => undefined)
  socket.destroy()
  return answer
}

async function accepts (socketPath: string): Promise<boolean> {
  const socket = connect(socketPath)
  const accepted = await once(socket, 'connect').then(() => true, () => false)
  socket.destroy()
  return accepted
}

/** Ends the server of a killed service when its supervisor was killed too. */
async function endOrphan (socketPath: string): Promise<void> {
  if (!await accepts(socketPath)) return
  const redis = new Redis({
    path: socketPath, lazyConnect: true, retryStrategy: null, commandTimeout: START_TIMEOUT, maxRetriesPerRequest: 0
  })
  redis.on('error', () => {}) // the server closes the connection instead of answering
  await redis.shutdown('NOSAVE').catch(() => {})
  redis.disconnect()
  const end = performance.now() + START_TIMEOUT
  while (await accepts(socketPath)) {
    if (performance.now() > end) throw new StartError(`An older Redis server holds ${socketPath} and does not end: end it, then start again.`)
    await delay(10)
  }
}
