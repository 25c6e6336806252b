import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

/** What the run starts; `end` ends all of it, in whatever state it is. */
export interface Processes {
  /** Starts a program and resolves with the first match of a pattern in what it prints. */
  start (command: string, args: string[], ready: RegExp, env?: NodeJS.ProcessEnv): Promise<RegExpExecArray>
  end (): Promise<void>
}

export function createProcesses (): Processes {
  const ends: Array<() => Promise<unknown>> = []
  return {
    async start (command, args, ready, env = {}) {
      const child = spawn(command, args, { env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
      const exited = once(child, 'exit')
      ends.push(async () => {
        child.kill('SIGKILL')
        await exited
      })
      const matched = new Promise<RegExpExecArray>(resolve => {
        for (const stream of [child.stdout, child.stderr]) {
          createInterface(stream).on('line', line => {
            const match = ready.exec(line)
            if (match !== null) resolve(match)
          })
        }
      })
      const failed = exited.then(([code]) => { throw new Error(`${command} ended with ${code} before it was ready`) })
      failed.catch(() => {})
      return await Promise.race([matched, failed])
    },
    async end () {
      await Promise.all(ends.map(async end => await end()))
    }
  }
}
