import { spawnSync } from 'node:child_process'
import { closeSync, constants, openSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const FILE = '.setup.lock'
/** Milliseconds between two attempts to get the lock. */
const INTERVAL = 200
/** With this flag, open() of macOS takes a lock; Node has no constant for it. */
const O_EXLOCK = 0x20

let descriptor

/** The descriptor that holds the lock. A command that inherits it keeps the lock when this process is killed. */
export const lockDescriptor = () => descriptor ?? 'ignore'

/**
 * Waits until no other command installs in this folder, then takes the lock. This process and its commands share the lock; the
 * kernel frees it when the last of them ends, in any way.
 */
export async function lock () {
  let said
  while ((descriptor = tryLock()) === undefined) {
    const holder = readFileSync(FILE, 'utf8').trim() || 'another command'
    if (holder !== said) console.log(`Waiting for ${said = holder}`)
    await sleep(INTERVAL)
  }
  writeFileSync(FILE, '')
}

/** Prints the current step, and records it for the commands that wait for the lock. */
export function announce (text) {
  console.log(text)
  writeFileSync(FILE, `npm run ${process.env.npm_lifecycle_event ?? 'setup'} (process ${process.pid}): ${text}\n`)
}

function tryLock () {
  if (process.platform === 'darwin') {
    try {
      return openSync(FILE, constants.O_RDWR | constants.O_CREAT | constants.O_NONBLOCK | O_EXLOCK)
    } catch (err) {
      if (err.code !== 'EAGAIN') throw err
      return undefined
    }
  }
  const opened = openSync(FILE, 'a')
  // flock(1) locks the open file that it shares with this process, and leaves it locked. Without flock(1), there is no lock.
  if (spawnSync('flock', ['-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', opened] }).status !== 1) return opened
  closeSync(opened)
}
