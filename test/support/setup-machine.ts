import { spawn, spawnSync, type ChildProcess, type SpawnSyncReturns } from 'node:child_process'
import { chmod, cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { tempFolder } from './helper.ts'

/**
 * A simulated machine with missing programs, for scripts/setup.mjs. Its PATH has the programs that the script needs, and
 * stand-ins for package managers that record their calls and install nothing.
 */
export interface Machine {
  folder: string
  /** Runs the script to its end, as root or another user. */
  setup: (steps: string[], env?: Record<string, string>, uid?: number) => SpawnSyncReturns<string>
  /** Starts the script. */
  start: (steps: string[], env?: Record<string, string>, uid?: number) => Running
  /** Starts it from a shell, as npm does. */
  startInShell: (steps: string[]) => Running
  /** Calls of the stand-ins, without the options that keep apt-get from starting services. */
  calls: () => Promise<string[]>
  /** Puts a stand-in on the PATH; it records its call, then runs this shell script. */
  install: (name: string, script?: string) => Promise<void>
}

export interface Running {
  process: ChildProcess
  /** Resolves when the script has printed the text. */
  prints: (text: string) => Promise<void>
  /** Resolves with the exit status or signal. */
  ended: Promise<number | NodeJS.Signals>
}

/** An npm lock file with these versions. */
export function lockFile (versions: Record<string, string>): string {
  const entries = Object.entries(versions).map(([name, version]) => [`node_modules/${name}`, { version }])
  return JSON.stringify({ packages: { '': { name: 'service' }, 'node_modules/fsevents': { version: '2.3.3', optional: true }, ...Object.fromEntries(entries) } })
}

export async function machine (t: Test): Promise<Machine> {
  const folder = await tempFolder(t)
  const bin = join(folder, 'bin')
  await mkdir(bin)
  await mkdir(join(folder, 'scripts'))
  await cp('scripts/setup.mjs', join(folder, 'scripts', 'setup.mjs'))
  await cp('scripts/setup', join(folder, 'scripts', 'setup'), { recursive: true })
  await cp('package.json', join(folder, 'package.json'))
  await writeFile(join(folder, 'package-lock.json'), lockFile({ tap: '21.0.0' }))
  await symlink(process.execPath, join(bin, 'node'))
  for (const name of ['sh', 'chmod', 'cp', 'mkdir', 'sleep']) await symlink(`/bin/${name}`, join(bin, name))
  await symlink('/usr/bin/flock', join(bin, 'flock'))
  const log = join(folder, 'calls')
  // The script is only told another uid: a real user might lack access to this folder or this Node.
  const args = (steps: string[], uid: number): string[] => [
    '--import', `data:text/javascript,process.getuid=()=>${uid}`, join(folder, 'scripts', 'setup.mjs'), ...steps
  ]
  return {
    folder,
    setup: (steps, env = {}, uid = 0) => spawnSync(process.execPath, args(steps, uid), { encoding: 'utf8', env: { PATH: bin, ...env } }),
    start: (steps, env = {}, uid = 0) => follow(t, spawn(process.execPath, args(steps, uid), { env: { PATH: bin, ...env } })),
    startInShell: steps => follow(t, spawn('sh', ['-c', `node scripts/setup.mjs ${steps.join(' ')}; :`], { cwd: folder, env: { PATH: bin } })),
    calls: async () => {
      const lines = (await readFile(log, 'utf8').catch(() => '')).trim().split('\n').filter(line => line !== '')
      return lines.map(line => line.replaceAll(/ -o DPkg::\S+/g, ''))
    },
    install: async (name, script = '') => {
      await writeFile(join(bin, name), `#!/bin/sh\necho "${name} $*" >> ${log}\n${script}\n`)
      await chmod(join(bin, name), 0o755)
    }
  }
}

function follow (t: Test, child: ChildProcess): Running {
  t.teardown(() => child.kill())
  let output = ''
  const waiting = new Set<() => void>()
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    output += text
    for (const look of waiting) look()
  })
  return {
    process: child,
    prints: async text => await new Promise((resolve, reject) => {
      const look = (): void => { if (output.includes(text)) resolve() }
      waiting.add(look)
      look()
      child.on('close', () => { reject(new Error(`It ended without printing "${text}": ${output}`)) })
    }),
    ended: new Promise(resolve => child.on('close', (code, signal) => { resolve(code ?? signal!) }))
  }
}
