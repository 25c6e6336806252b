import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Protocol } from '../load/protocol.ts'
import { ask, spawnNode, type Spawned, type SpawnOptions } from './processes.ts'

/** A running contender. */
export interface Service {
  name: ContenderName
  pid: number
  urls: string[]
  protocol: Protocol
  /** Opens `count` sessions in the contender's own way, for users from `from` on; returns their refresh tokens. */
  open (from: number, count: number): Promise<string[]>
  /** Kills it, or sends another signal and waits for its end. */
  stop (signal?: NodeJS.Signals): Promise<void>
}

/** Fields of a request that opens a session; `undefined` leaves one out. */
export interface Fields extends Record<string, unknown> { userId?: string }

export interface OurService extends Service {
  internalUrl: string
  /** `fieldsOf` replaces or adds fields of each request. */
  open (from: number, count: number, fieldsOf?: (id: number) => Fields): Promise<string[]>
}

/** Titles in the order of tables and plots. */
export const titles = {
  ours: 'refresh-token-service',
  ceiling: 'ceiling',
  tutorial: 'tutorial',
  'oidc-provider': 'node-oidc-provider',
  'better-auth': 'better-auth',
  'better-auth-reuse': 'better-auth, reuse interval 30 s'
} as const

export type ContenderName = keyof typeof titles

export const contenderNames = Object.keys(titles) as ContenderName[]

/** Contenders whose packages are installed; `ours` and `ceiling` need only the product's packages. */
export function available (): ContenderName[] {
  const installed = existsSync(new URL('../node_modules/.package-lock.json', import.meta.url))
  return contenderNames.filter(name => installed || name === 'ours' || name === 'ceiling')
}

/** Device id of every session. */
export const DEVICE_ID = 'bench device'

const documented: Protocol = {
  path: '/api/ps/refresh',
  contentType: 'application/json',
  before: `{"deviceId":"${DEVICE_ID}","refreshToken":"`,
  after: '"}',
  field: 'refreshToken',
  rotates: true
}

const tokenEndpoint = (path: string): Protocol => ({
  path,
  contentType: 'application/x-www-form-urlencoded',
  before: 'grant_type=refresh_token&client_id=bench&refresh_token=',
  after: '',
  field: 'refresh_token',
  rotates: true
})

const protocols: Record<ContenderName, Protocol> = {
  ours: documented,
  ceiling: { ...documented, rotates: false },
  tutorial: documented,
  'oidc-provider': tokenEndpoint('/token'),
  'better-auth': tokenEndpoint('/api/auth/oauth2/token'),
  'better-auth-reuse': tokenEndpoint('/api/auth/oauth2/token')
}

/** Node flags for every contender, from BENCH_NODE_FLAGS, to measure the effect of a flag. */
const nodeFlags = (process.env.BENCH_NODE_FLAGS ?? '').split(' ').filter(Boolean)

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))

const made = (): string => randomBytes(64).toString('base64url')

/** Secrets for one run. */
export const secrets = { access: made(), refresh: made(), apiKey: randomBytes(32).toString('hex') }

/** Further Node flags, environment variables, and what `spawnNode` takes. Core 0 without `core`. */
export interface OurOptions extends SpawnOptions {
  flags?: string[]
}

/** Starts the compiled product as production runs it. */
export async function startOurs (redisUrl: string, options: OurOptions = {}): Promise<OurService> {
  const { pid, line, stop } = spawnOurs(redisUrl, options)
  const { public: url, internal } = JSON.parse(await line('is ready'))
  const open: OurService['open'] = async (from, count, fieldsOf) => {
    const tokens: string[] = []
    for (let i = 0; i < count; i += 32) {
      const ids = Array.from({ length: Math.min(32, count - i) }, (_, j) => from + i + j)
      const opened = await Promise.all(ids.map(async id => await openSession(internal, id, fieldsOf?.(id))))
      tokens.push(...opened.map(({ refreshToken }) => refreshToken))
    }
    return tokens
  }
  return { name: 'ours', pid, urls: [url], internalUrl: internal, protocol: documented, open, stop }
}

export function spawnOurs (redisUrl: string, { flags = [], env, ...options }: OurOptions = {}): Spawned {
  return spawnNode([...nodeFlags, ...flags, path('../../dist/src/server.js')], {
    core: 0,
    ...options,
    env: {
      REDIS_URL: redisUrl,
      PORT: '0',
      INTERNAL_PORT: '0',
      ACCESS_TOKEN_SECRETS: secrets.access,
      REFRESH_TOKEN_SECRETS: secrets.refresh,
      INTERNAL_API_KEY: secrets.apiKey,
      SHUTDOWN_DELAY: '0',
      ...env
    }
  })
}

/** Opens a session as a login service does, which repeats a request answered 500. `token` is the access token. */
export async function openSession (
  internalUrl: string, userId: number, fields?: Fields, tries = 40
): Promise<{ token: string, refreshToken: string }> {
  const response = await fetch(`${internalUrl}/internal/sessions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${secrets.apiKey}` },
    body: JSON.stringify({ userId, email: `user${userId}@example.com`, role: 'GUEST', deviceId: DEVICE_ID, ...fields })
  })
  if (response.status === 500 && tries > 1) {
    await delay(250)
    return await openSession(internalUrl, userId, fields, tries - 1)
  }
  if (response.status !== 201) throw new Error(`a session could not be opened: ${response.status} ${await response.text()}`)
  return await response.json() as Awaited<ReturnType<typeof openSession>>
}

/** Starts a contender on its Redis. `answer` is the fixed answer of the ceiling, copied from the product. */
export async function startContender (name: ContenderName, redisUrl: string, answer: string): Promise<Service> {
  if (name === 'ours') return await startOurs(redisUrl)
  const env = { REDIS_URL: redisUrl, ANSWER: answer, DEVICE_ID, REUSE_INTERVAL: name === 'better-auth-reuse' ? '30' : '0' }
  const service = spawnNode([...nodeFlags, path(`../contenders/${name.replace('-reuse', '')}/server.mjs`)], { core: 0, env, ipc: true })
  const { url } = JSON.parse(await service.line('"url"'))
  return {
    name,
    pid: service.pid,
    urls: [url],
    protocol: protocols[name],
    open: async (from, count) => (await ask<{ tokens: string[] }>(service, { from, count })).tokens,
    stop: service.stop
  }
}

/** Returns the product's answer to one refresh. */
export async function sampleAnswer (service: Service): Promise<string> {
  const [token] = await service.open(999_999, 1)
  const response = await fetch(service.urls[0] + documented.path, {
    method: 'POST', headers: { 'content-type': documented.contentType }, body: documented.before + token + documented.after
  })
  return await response.text()
}
