import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { randomBytes } from 'node:crypto'
import type { Protocol } from '../load/protocol.ts'
import { ask, spawnPinned, type Spawned } from './processes.ts'

/** A running contender. */
export interface Service {
  name: ContenderName
  pid: number
  urls: string[]
  protocol: Protocol
  /** Opens `count` sessions in the contender's own way, for users from `from` on; returns their refresh tokens. */
  open (from: number, count: number): Promise<string[]>
  /** Kills it. */
  stop (): Promise<void>
}

/** Refresh-token-service, which can also shut down gracefully, as in production. */
export interface OurService extends Service {
  end (): Promise<void>
}

/** In the order of tables and plots. */
export const contenders = {
  ours: 'refresh-token-service',
  ceiling: 'the ceiling: Fastify and one script call that do nothing',
  tutorial: 'the tutorial: Express, jsonwebtoken, GET/DEL/SET',
  'oidc-provider': 'node-oidc-provider',
  'better-auth': 'better-auth'
} as const

export type ContenderName = keyof typeof contenders

/** Contenders whose packages are installed; `ours` and `ceiling` need only the product's packages. */
export function available (): ContenderName[] {
  const installed = existsSync(new URL('../node_modules/.package-lock.json', import.meta.url))
  return (Object.keys(contenders) as ContenderName[]).filter(name => installed || name === 'ours' || name === 'ceiling')
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
  'better-auth': tokenEndpoint('/api/auth/oauth2/token')
}

/** Node flags for every contender, from BENCH_NODE_FLAGS, to measure the effect of a flag. */
const nodeFlags = (process.env.BENCH_NODE_FLAGS ?? '').split(' ').filter(Boolean)

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))

const made = (): string => randomBytes(64).toString('base64url')

/** Secrets for one run. */
export const secrets = { access: made(), refresh: made(), apiKey: randomBytes(32).toString('hex') }

/** Starts the compiled product as production runs it. */
export async function startOurs (redisUrl: string, flags: string[] = []): Promise<OurService> {
  const service = spawnOurs(redisUrl, flags)
  const ready = JSON.parse(await service.line('is ready'))
  return {
    name: 'ours',
    pid: service.pid,
    urls: [ready.public],
    protocol: documented,
    open: async (from, count) => await openOurs(ready.internal, from, count),
    stop: service.stop,
    end: service.end
  }
}

export function spawnOurs (redisUrl: string, flags: string[] = []): Spawned {
  return spawnPinned(0, [process.execPath, ...nodeFlags, ...flags, path('../../dist/src/server.js')], {
    REDIS_URL: redisUrl,
    PORT: '0',
    INTERNAL_PORT: '0',
    ACCESS_TOKEN_SECRETS: secrets.access,
    REFRESH_TOKEN_SECRETS: secrets.refresh,
    INTERNAL_API_KEY: secrets.apiKey,
    SHUTDOWN_DELAY: '0'
  })
}

/** Opens sessions as a login service does. */
async function openOurs (internal: string, from: number, count: number): Promise<string[]> {
  const one = async (userId: number, tries = 5): Promise<string> => {
    const response = await fetch(`${internal}/internal/sessions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${secrets.apiKey}` },
      body: JSON.stringify({ userId, email: `user${userId}@example.com`, role: 'GUEST', deviceId: DEVICE_ID })
    })
    if (response.status === 500 && tries > 1) return await one(userId, tries - 1)
    if (response.status !== 201) throw new Error(`a session could not be opened: ${response.status} ${await response.text()}`)
    return (await response.json() as { refreshToken: string }).refreshToken
  }
  const tokens: string[] = []
  for (let i = 0; i < count; i += 32) {
    tokens.push(...await Promise.all(Array.from({ length: Math.min(32, count - i) }, (_, j) => one(from + i + j))))
  }
  return tokens
}

/** Starts a contender on its Redis. `answer` is the fixed answer of the ceiling, copied from the product. */
export async function startContender (name: ContenderName, redisUrl: string, answer: string): Promise<Service> {
  if (name === 'ours') return await startOurs(redisUrl)
  const env = { REDIS_URL: redisUrl, ANSWER: answer, DEVICE_ID }
  const service = spawnPinned(0, [process.execPath, ...nodeFlags, path(`../contenders/${name}/server.mjs`)], env, true)
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

/** Returns the product's answer to one documented request. */
export async function sampleAnswer (service: Service): Promise<string> {
  const [token] = await service.open(999_999, 1)
  const response = await fetch(service.urls[0] + documented.path, {
    method: 'POST', headers: { 'content-type': documented.contentType }, body: documented.before + token + documented.after
  })
  return await response.text()
}
