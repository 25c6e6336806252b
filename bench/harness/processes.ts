import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** The measured service has core 0 to itself, so that it is the bottleneck; its Redis and the load generator share core 1. */
export type Core = 0 | 1

/** Whether this machine can pin processes to cores; without pinning, figures of one machine can't be compared. */
export const canPin = availableParallelism() > 1 && spawnSync('taskset', ['--version']).status === 0

/** Killed and removed when this process exits, for whatever reason. */
export const running = new Set<ChildProcess['pid']>()
const folders = new Set<string>()

process.once('exit', () => {
  for (const pid of running) process.kill(pid!, 'SIGKILL')
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

export function temporaryFolder (): string {
  const folder = mkdtempSync(join(tmpdir(), 'rts-'))
  folders.add(folder)
  return folder
}

export interface SpawnOptions {
  /** Any core without it. */
  core?: Core | undefined
  env?: Record<string, string>
  /** Opens an IPC channel, for `ask`. */
  ipc?: boolean
  onLine?: (line: string) => void
}

export interface Spawned {
  child: ChildProcess
  pid: number
  /** Resolves with the next output line that contains the text; rejects if the process ends before. */
  line (text: string): Promise<string>
  /** Sends SIGKILL, or another signal, and waits until the process has ended. */
  stop (signal?: NodeJS.Signals): Promise<void>
}

/** Starts a process of Node. It inherits only PATH from this environment. */
export function spawnNode (args: string[], { core, env = {}, ipc = false, onLine = () => {} }: SpawnOptions): Spawned {
  const [program, ...rest] = [...(canPin && core !== undefined ? ['taskset', '-c', String(core)] : []), process.execPath, ...args]
  const child = spawn(program!, rest, {
    // Tests run the harness too: their changes to the environment must not affect the measurement.
    env: { PATH: process.env.PATH!, NODE_ENV: 'production', ...env },
    stdio: ['ignore', 'pipe', 'pipe', ...(ipc ? ['ipc' as const] : [])],
    // Structured clones keep typed arrays of numbers intact.
    serialization: 'advanced'
  })
  running.add(child.pid)
  const errors: string[] = []
  createInterface(child.stderr!).on('line', line => { errors.push(line) })
  const lines = createInterface(child.stdout!).on('line', onLine)
  const exited = once(child, 'exit').then(() => { running.delete(child.pid) })
  return {
    child,
    pid: child.pid!,
    line: async text => await new Promise((resolve, reject) => {
      lines.on('line', line => { if (line.includes(text)) resolve(line) })
      exited.then(() => reject(new Error(`${args.join(' ')} ended:\n${errors.join('\n')}`)), reject)
    }),
    stop: async (signal = 'SIGKILL') => {
      child.kill(signal)
      await exited
    }
  }
}

/** Sends a message to a spawned process and resolves with its answer; rejects if the answer has an `error`. */
export async function ask<T> ({ child }: Spawned, message: object): Promise<T> {
  const settled = new AbortController()
  const gone = once(child, 'exit', settled).then(() => { throw new Error('the process ended without an answer') })
  gone.catch(() => {})
  try {
    child.send(message)
    const [answer] = await Promise.race([once(child, 'message', settled), gone]) as [T & { error?: string }]
    if (answer.error !== undefined) throw new Error(answer.error)
    return answer
  } finally {
    settled.abort()
  }
}
