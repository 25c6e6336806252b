import { spawnSync } from 'node:child_process'
import { closeSync, constants, openSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const FILE = '.setup.lock'
/** Milliseconds between two attempts to get the lock. */
const INTERVAL = 200
/** open() of macOS locks with this flag; Node has no name for it. */
const O_EXLOCK = 0x20

let descriptor

/** The descriptor that holds the lock. A command that inherits it keeps the lock when this process is killed. */
export const lockDescriptor = () => descriptor ?? 'ignore'

/**
 * Waits until no other command installs in this folder. The kernel keeps the lock for this process and its commands, and
 * frees it with the last of them, however they end.
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

/** Prints what is done now; also for the commands that wait for it. */
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
  // flock(1) locks the open file that it shares with this process, and leaves it locked. Without it, there is no lock.
  if (spawnSync('flock', ['-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', opened] }).status !== 1) return opened
  closeSync(opened)
}
