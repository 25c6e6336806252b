import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { loadConfig, type Config } from '../../src/config.ts'
import { withDevelopmentSecrets } from '../../src/development-secrets.ts'
import { StartError } from '../../src/errors.ts'
import { say } from './print.ts'
import { request } from './request.ts'

/** A service to tell the story with. */
export interface Service {
  publicUrl: string
  internalUrl: string
  apiKey: string
  /** Ends it when the demo started it; a service that ran before runs on. */
  stop (): Promise<void>
}

/**
 * Takes the service that `npm start` runs in this environment, or starts one with a store of its own.
 * @throws StartError when there is one that can't be used, or none can be started.
 */
export async function findOrStartService (signal: AbortSignal): Promise<Service> {
  const config = loadConfig()
  return await findService(config) ?? await startService(config, signal)
}

async function findService (config: Config): Promise<Service | undefined> {
  if (config.PORT === 0 || config.INTERNAL_PORT === 0) return undefined
  const internalUrl = urlOf(config.INTERNAL_HOST, config.INTERNAL_PORT)
  const state = await readiness(internalUrl)
  if (state === undefined) return undefined
  if (state !== 'ready') throw new StartError(`The service at ${internalUrl} runs but is not ready: ${state}.`)

  const { INTERNAL_API_KEY: apiKey } = await withDevelopmentSecrets(config)
  // There is no user 0, so this asks for the key and touches nobody.
  const { status } = await request('GET', `${internalUrl}/internal/users/0/sessions`, { apiKey })
  if (status === 401) {
    throw new StartError(`The service at ${internalUrl} has another INTERNAL_API_KEY: run the demo with the environment and the DATA_DIR of that service, or stop it.`)
  }
  say(`The service that runs at ${internalUrl} tells the story.`)
  return { publicUrl: urlOf(config.HOST, config.PORT), internalUrl, apiKey, stop: async () => {} }
}

/** What the service at the address says of itself; `undefined` when there is none, or something else. */
async function readiness (internalUrl: string): Promise<string | undefined> {
  try {
    const { status, text } = await request('GET', `${internalUrl}/readyz`)
    const state = JSON.parse(text).status
    if (status === 200 ? state === 'ready' : status === 503 && typeof state === 'string') return state
  } catch {}
  return undefined
}

/** The address to reach a listener at, which may listen everywhere. */
function urlOf (host: string, port: number): string {
  const target = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return `http://${target.includes(':') ? `[${target}]` : target}:${port}`
}

async function startService (config: Config, signal: AbortSignal): Promise<Service> {
  const folder = await mkdtemp(join(tmpdir(), 'demo-')) // a short name: the path of a unix socket must be short
  const apiKey = randomBytes(32).toString('base64url')
  const child = spawn(process.execPath, ['--import', './scripts/typescript.mjs', 'src/server.ts'], {
    cwd: new URL('../..', import.meta.url),
    env: serviceEnvironment(config, { INTERNAL_API_KEY: apiKey, DATA_DIR: folder }),
    stdio: ['ignore', 'pipe', 'pipe'],
    // Out of reach of the terminal's Ctrl-C: a second signal would cut its orderly end short.
    detached: true
  })
  say(`No service runs at ${urlOf(config.INTERNAL_HOST, config.INTERNAL_PORT)}, so the demo starts one (process ${child.pid}).`)
  const closed = once(child, 'close')
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    await closed
    // Its Redis may write a last file in between when it was cut off during the start.
    await rm(folder, { recursive: true, force: true, maxRetries: 10 })
  }
  try {
    const ready = await readyLine(child, signal)
    return { publicUrl: ready.public, internalUrl: ready.internal, apiKey, stop }
  } catch (err) {
    await stop()
    throw err
  }
}

/**
 * The caller's environment without its settings of the service, but for where its Redis is: the story is one of the
 * default rules, and of a service that nobody else uses.
 */
function serviceEnvironment (config: Config, settings: Record<string, string>): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !(name in config))
  return {
    ...Object.fromEntries(inherited),
    ...(config.REDIS_URL === undefined ? {} : { REDIS_URL: config.REDIS_URL, REDIS_PREFIX: config.REDIS_PREFIX }),
    PORT: '0',
    INTERNAL_PORT: '0',
    LOG_LEVEL: 'info',
    ...settings
  }
}

async function readyLine (child: ChildProcess, signal: AbortSignal): Promise<{ public: string, internal: string }> {
  signal.throwIfAborted()
  return await new Promise((resolve, reject) => {
    const errors: string[] = []
    child.stderr!.on('data', chunk => errors.push(String(chunk)))
    // Read to its end, so that the service never waits for a reader.
    createInterface(child.stdout!).on('line', line => {
      if (line.includes('"refresh-token-service is ready"')) resolve(JSON.parse(line))
    })
    child.once('close', () => reject(new StartError(`The service did not start:\n${errors.join('').trim()}`)))
    signal.addEventListener('abort', () => reject(signal.reason))
  })
}
