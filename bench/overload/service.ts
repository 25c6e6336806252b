import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** A service that can be overloaded and its own Redis that can be frozen, each in its own process. */
export interface Bench {
  port: number
  internalUrl: string
  redisPid: number
  /** Opens a session for each user from 1 to `count`; returns their refresh tokens. */
  open (count: number): Promise<string[]>
  /** Microseconds of CPU that the service has used so far, in steps of 10 ms; Linux only. */
  cpu (): number
  /** Log lines, without the ones about failed requests. */
  notices: string[]
  stop (): Promise<void>
}

export async function startBench (env: Record<string, string> = {}): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), 'rts-'))
  const socket = join(folder, 'redis.sock')
  const redis = spawn('redis-server', ['--port', '0', '--unixsocket', socket, '--dir', folder, '--appendonly', 'yes', '--save', ''], { stdio: 'ignore' })
  const apiKey = randomBytes(32).toString('hex')
  const made = (): string => randomBytes(64).toString('base64url')
  const service = spawn(process.execPath, ['dist/src/server.js'], {
    env: {
      PATH: process.env.PATH,
      PORT: '0',
      INTERNAL_PORT: '0',
      NODE_ENV: 'production',
      SHUTDOWN_DELAY: '0',
      // Disabled, because all clients of the bench share one address.
      MAX_CONNECTIONS_PER_ADDRESS: '0',
      REDIS_URL: `redis+socket://${socket}`,
      ACCESS_TOKEN_SECRETS: made(),
      REFRESH_TOKEN_SECRETS: made(),
      INTERNAL_API_KEY: apiKey,
      ...env
    },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const notices: string[] = []
  const output = createInterface(service.stdout).on('line', line => {
    if (!line.includes('request failed')) notices.push(line)
  })
  while (!notices.some(line => line.includes('is ready'))) await once(output, 'line')
  const ready = JSON.parse(notices.at(-1)!)
  return {
    port: Number(new URL(ready.public).port),
    internalUrl: ready.internal,
    redisPid: redis.pid!,
    notices,
    cpu: () => {
      const fields = readFileSync(`/proc/${service.pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
      return (Number(fields[11]) + Number(fields[12])) * 10_000
    },
    async open (count) {
      const tokens: string[] = []
      const openFrom = async (first: number): Promise<void> => {
        for (let userId = first; userId <= count; userId += 16) tokens[userId - 1] = await openSession(ready.internal, apiKey, userId)
      }
      await Promise.all(Array.from({ length: 16 }, async (_, i) => await openFrom(i + 1)))
      return tokens
    },
    async stop () {
      const gone = [once(service, 'exit'), once(redis, 'exit')]
      service.kill('SIGTERM')
      redis.kill('SIGKILL')
      await Promise.all(gone)
      await rm(folder, { recursive: true, force: true })
    }
  }
}

async function openSession (url: string, apiKey: string, userId: number): Promise<string> {
  const response = await fetch(`${url}/internal/sessions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ userId, email: `user${userId}@example.com`, role: 'GUEST', deviceId: 'bench' })
  })
  return (await response.json() as { refreshToken: string }).refreshToken
}
