import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'

export const apiKey = randomBytes(32).toString('base64url')

export interface TokensBody {
  id: number | string
  email: string
  role: string
  token: string
  refreshToken: string
}

export const guest = { userId: 1, email: 'guest@keygenqt.com', role: 'GUEST', deviceId: 'Unique key' }

/**
 * Starts Node with a program of this repository, such as `src/server.ts`: compiled if this file is. The environment is `env`, PATH
 * and the coverage folder.
 */
export function spawnNode ([program, ...args]: [program: string, ...args: string[]], { env, ...options }: SpawnOptions = {}): ChildProcess {
  const { PATH, NODE_V8_COVERAGE } = process.env
  return spawn(process.execPath, [...nodeArguments(program), ...args], {
    env: { PATH, ...(NODE_V8_COVERAGE === undefined ? {} : { NODE_V8_COVERAGE }), ...env }, ...options
  })
}

/** The arguments with which Node runs a program of this repository. */
export function nodeArguments (program: string): string[] {
  return import.meta.url.endsWith('.ts')
    ? ['--import', './scripts/typescript.mjs', program]
    : ['--import', './scripts/optimise-late.mjs', `dist/${program.replace(/ts$/, 'js')}`]
}

/** A running process of the service. */
export interface ServiceProcess {
  child: ChildProcess
  publicUrl: string
  internalUrl: string
  /** Lines of the log so far. */
  lines: string[]
  /** Resolves with a line that contains the text, already logged or to come; rejects after a minute. */
  line (text: string): Promise<string>
  exited: Promise<[code: number | null, signal: string | null]>
}

/** Starts the service as a process, without waiting for it. The system chooses the ports. */
export function spawnService (t: Test, env: Record<string, string>): { child: ChildProcess, lines: string[], errors: string[], line: ServiceProcess['line'], exited: ServiceProcess['exited'] } {
  const child = spawnNode(['src/server.ts'], { env: { PORT: '0', INTERNAL_PORT: '0', ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const lines: string[] = []
  const errors: string[] = []
  const output = createInterface(child.stdout!).on('line', line => lines.push(line))
  createInterface(child.stderr!).on('line', line => errors.push(line))
  const exited = once(child, 'close') as ServiceProcess['exited']
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exited
  })
  const line: ServiceProcess['line'] = async text => {
    const late = AbortSignal.timeout(60_000)
    for (;;) {
      const found = lines.find(line => line.includes(text))
      if (found !== undefined) return found
      const next = once(output, 'line', { signal: late }).catch(() => { throw new Error(`no line with «${text}» within a minute, after:\n${lines.slice(-5).join('\n')}`) })
      await Promise.race([next, exited.then(() => { throw new Error(`ended before «${text}»: ${errors.join('\n')}`) })])
    }
  }
  return { child, lines, errors, line, exited }
}

/** Starts the service as a process and waits until it is ready. */
export async function startService (t: Test, env: Record<string, string>): Promise<ServiceProcess> {
  const { child, lines, line, exited } = spawnService(t, env)
  const ready = JSON.parse(await line('refresh-token-service is ready'))
  return { child, lines, line, exited, publicUrl: ready.public, internalUrl: ready.internal }
}

/** Sends the documented refresh request to a running process. */
export async function postRefresh (
  url: string, refreshToken: string, deviceId = guest.deviceId, idempotencyKey?: string
): Promise<Response> {
  return await fetch(`${url}/api/ps/refresh`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...idempotencyKey !== undefined && { 'Idempotency-Key': idempotencyKey } },
    body: JSON.stringify({ deviceId, refreshToken })
  })
}

/** Opens a session at a running process. */
export async function postSession (url: string, overrides: object = {}): Promise<TokensBody> {
  const response = await fetch(`${url}/internal/sessions`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${apiKey}` },
    body: JSON.stringify({ ...guest, ...overrides })
  })
  return await response.json() as TokensBody
}
