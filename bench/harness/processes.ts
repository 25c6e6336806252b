import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { createInterface } from 'node:readline'

/**
 * The measured service has core 0 to itself, so that it is the bottleneck; its Redis and the load generator share core 1.
 */
export type Core = 0 | 1

/** Whether this machine can pin processes to cores; without pinning, figures of one machine can't be compared. */
export const canPin = availableParallelism() > 1 && spawnSync('taskset', ['--version']).status === 0

const running = new Set<ChildProcess>()

/** Removed when this process exits, for whatever reason. */
export const temporaryFolders = new Set<string>()

process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
  for (const folder of temporaryFolders) rmSync(folder, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

export interface Spawned {
  child: ChildProcess
  pid: number
  /** Resolves with the first output line that contains the text; rejects if the process ends before. */
  line (text: string): Promise<string>
  /** Kills the process and waits until it has ended. */
  stop (): Promise<void>
  /** Sends SIGTERM and waits until the process has ended. */
  end (): Promise<void>
}

/** Starts a process, with an IPC channel if `ipc`. It inherits only PATH from this environment. */
export function spawnPinned (core: Core, command: string[], env: Record<string, string> = {}, ipc = false): Spawned {
  const [program, ...args] = canPin ? ['taskset', '-c', String(core), ...command] : command
  const child = spawn(program!, args, {
    // Tests run the harness too: their changes to the environment must not affect the measurement.
    env: { PATH: process.env.PATH!, NODE_ENV: 'production', ...env },
    stdio: ['ignore', 'pipe', 'pipe', ...(ipc ? ['ipc' as const] : [])],
    // Structured clones keep typed arrays of numbers intact.
    serialization: 'advanced'
  })
  running.add(child)
  const errors: string[] = []
  createInterface(child.stderr!).on('line', line => { errors.push(line) })
  const lines = createInterface(child.stdout!)
  const exited = once(child, 'exit').then(() => { running.delete(child) })
  return {
    child,
    pid: child.pid!,
    line: async text => await new Promise((resolve, reject) => {
      lines.on('line', line => { if (line.includes(text)) resolve(line) })
      exited.then(() => reject(new Error(`${command.join(' ')} ended:\n${errors.join('\n')}`)), reject)
    }),
    stop: async () => {
      child.kill('SIGKILL')
      await exited
    },
    end: async () => {
      child.kill('SIGTERM')
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
