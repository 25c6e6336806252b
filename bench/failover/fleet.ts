import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Deployment } from '../../test/support/redis/deployment.ts'

/** Three replicas of the service, each in its own process. */
export interface Fleet {
  publicUrls: string[]
  internalUrls: string[]
  apiKey: string
  /** Number of log lines so far that report a rotation lost by Redis and recovered. */
  recovered (): number
  stop (): Promise<void>
}

const REPLICAS = 3

const secret = (): string => randomBytes(64).toString('base64url')

export async function startFleet ({ url, env }: Deployment, waitReplicas: number): Promise<Fleet> {
  const apiKey = randomBytes(32).toString('base64url')
  const environment = {
    PATH: process.env.PATH,
    PORT: '0',
    INTERNAL_PORT: '0',
    ...env,
    REDIS_URL: url,
    REDIS_WAIT_REPLICAS: String(waitReplicas),
    ACCESS_TOKEN_SECRETS: secret(),
    REFRESH_TOKEN_SECRETS: secret(),
    INTERNAL_API_KEY: apiKey
  }
  let recovered = 0
  const children: ChildProcess[] = []
  const addresses = await Promise.all(Array.from({ length: REPLICAS }, async () => {
    const child = spawn(process.execPath, ['--import', './scripts/typescript.mjs', 'src/server.ts'], {
      env: environment, stdio: ['ignore', 'pipe', 'inherit']
    })
    children.push(child)
    return await new Promise<{ public: string, internal: string }>((resolve, reject) => {
      child.once('exit', () => reject(new Error('a replica ended')))
      createInterface(child.stdout).on('line', line => {
        if (line.includes('refresh-token-service is ready')) resolve(JSON.parse(line))
        if (line.includes('"outcome":"recovered"')) recovered++
      })
    })
  }))
  return {
    publicUrls: addresses.map(address => address.public),
    internalUrls: addresses.map(address => address.internal),
    apiKey,
    recovered: () => recovered,
    stop: async () => {
      await Promise.all(children.map(async child => {
        const gone = once(child, 'exit')
        child.kill('SIGKILL')
        await gone
      }))
    }
  }
}
