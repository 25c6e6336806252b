import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants } from 'node:os'
import { text } from 'node:stream/consumers'
import { lockDescriptor } from './lock.mjs'

/** Milliseconds between two looks at the parent process. */
const INTERVAL = 200
/** Milliseconds until a command that ignores an interrupt is killed. */
const GRACE = 2_000

/** Sends a signal to the running command and all its children. */
let signalCommand
let interrupted

/**
 * Ends this process, and first the command that it runs, at an interrupt or when its parent ended: a shell that is
 * killed passes no signal on.
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
 * Runs a shell command, whose output is shown only when it fails; then this process ends. `prefix` is `sudo -n ` when the command
 * runs as root, whom this process may not signal. An interrupted package manager is left to finish its step: killed, it
 * would need a repair.
 */
export async function run (command, { env = {}, prefix = '', system = false } = {}) {
  const child = spawn('sh', ['-c', command], {
    env: { ...process.env, ...env },
    // A process group of its own, so that one signal reaches all of it.
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
