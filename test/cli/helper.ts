import type { ChildProcess, StdioOptions } from 'node:child_process'
import { once } from 'node:events'
import { Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import { parseInvocation } from '#src/cli/arguments'
import { toJson } from '#src/cli/output'
import type { Request } from '#src/cli/verb'
import { verbs } from '#src/cli/verbs'
import { createSessionStore, type SessionStore } from '#src/sessions/store'
import { apiKey, secret } from '../support/helper.ts'
import { spawnNode } from '../support/processes.ts'

export interface Ended {
  code: number | null
  stdout: string
  stderr: string
  /** The document on standard output. */
  json: any
}

/** Starts the command line as a process with exactly this environment. */
export function spawnCli (t: Test, args: string[], env: Record<string, string> = {}, stdio: StdioOptions = ['ignore', 'pipe', 'pipe']): { child: ChildProcess, ended: Promise<Ended> } {
  const child = spawnNode(['src/cli/main.ts', ...args], { env, stdio })
  t.teardown(() => { child.kill('SIGKILL') })
  const read = async (stream: NodeJS.ReadableStream | null): Promise<string> => stream === null ? '' : await text(stream).catch(() => '')
  const ended = Promise.all([once(child, 'close'), read(child.stdout), read(child.stderr)]).then(([[code], stdout, stderr]) => ({
    code, stdout, stderr, get json () { return JSON.parse(stdout) }
  }))
  return { child, ended }
}

/** The output of a verb that runs in this process. */
export interface Said {
  json: any
  /** For a screen of unlimited width, without colours. */
  text: string
  failed: boolean
}

/** Runs a verb in this process with exactly this environment; a new process takes a second. */
export async function run (argv: string[], env: Record<string, string> = {}, request: Partial<Request> = {}): Promise<Said> {
  const { verb, args, flags } = parseInvocation(argv)
  const before = process.env
  process.env = env
  try {
    const result = await verbs[verb].run({
      args,
      flags,
      holdInterruption: () => new AbortController().signal,
      terminal: { write () {} },
      input: Readable.from([]),
      output: new Writable(),
      ...request
    })
    const { document, text, failed = false } = result!
    return { json: JSON.parse(toJson(document)), text: text({ columns: Infinity, colors: false }), failed }
  } finally {
    process.env = before
  }
}

/** Runs the command line as a process to its end. */
export async function cli (t: Test, args: string[], env: Record<string, string> = {}): Promise<Ended> {
  return await spawnCli(t, args, env).ended
}

/** A session store with the options of a service. */
export function storeOn (client: Redis, prefix: string, idleTtl = 1000): SessionStore {
  return createSessionStore(client, { prefix, idleTtl, absoluteTtl: 10_000, retryWindow: 30, maxSessionsPerUser: 50 })
}

/** The settings that production requires besides REDIS_URL. */
export function productionSecrets (): Record<string, string> {
  return { NODE_ENV: 'production', ACCESS_TOKEN_SECRETS: secret(), REFRESH_TOKEN_SECRETS: secret(), INTERNAL_API_KEY: apiKey }
}
