import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import { text } from 'node:stream/consumers'
import { lockDescriptor } from './lock.mjs'

/** Milliseconds between two checks of the parent process. */
const INTERVAL = 200
/** Milliseconds until a command that ignores an interrupt is killed. */
const GRACE = 2_000

/** Sends a signal to the running command and all its children. */
let signalCommand
let interrupted

/**
 * At an interrupt, or when the parent has ended, ends the running command and then this process. A killed shell passes no
 * signal on, so the parent is checked.
 */
export function endWithParent () {
  const parent = process.ppid
  setInterval(() => { if (process.ppid !== parent) interrupt('SIGTERM') }, INTERVAL).unref()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, interrupt)
}

function interrupt (signal) {
  if (interrupted !== undefined) return
  interrupted = signal
  if (signalCommand === undefined) exit()
  else signalCommand()
}

function exit () {
  process.exit(128 + constants.signals[interrupted])
}

/**
 * Runs a shell command. When the command fails, shows its output and ends this process. `prefix` is `sudo -n ` when the command
 * runs as root, because this process may not signal root's processes. An interrupted package manager (`system`) may finish its
 * step: killed, it would need a repair.
 */
export async function run (command, { env = {}, prefix = '', system = false } = {}) {
  const child = spawn('sh', ['-c', command], {
    env: { ...process.env, ...env },
    // A process group of its own, so that one signal reaches all its processes.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', lockDescriptor()]
  })
  const signalGroup = signal => {
    if (prefix === '') process.kill(-child.pid, signal)
    else spawn('sh', ['-c', `${prefix}kill -s ${signal.slice(3)} -- -${child.pid}`], { stdio: 'ignore' })
  }
  signalCommand = () => {
    signalGroup(system ? 'SIGINT' : 'SIGTERM')
    if (!system) setTimeout(signalGroup, GRACE, 'SIGKILL').unref()
  }
  const [stdout, stderr, [status]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  signalCommand = undefined
  if (interrupted !== undefined) exit()
  if (status !== 0) giveUp(`${stdout}${stderr}\nThis command failed:\n  ${command}`)
}

export function giveUp (text) {
  console.error(text)
  process.exit(1)
}
