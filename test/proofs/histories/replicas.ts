import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import { TIMEOUT } from '#src/sessions/runner'
import {
  apiKey, claimsOf, environment, postRefresh, startRedis, startService, type PrivateRedis, type ServiceProcess
} from '../../support/helper.ts'
import type { Random } from '../../support/random.ts'
import { authenticate, type Perform } from './history.ts'
import { startProxy, type Proxy } from '../../support/proxy.ts'
import { PROFILE, type Answer, type Call } from './sessions.ts'

/** Three replicas, each with its own proxied connection to one Redis, and faults to inject. */

const REPLICAS = 3

/** Milliseconds by which the processes' clocks and timers may differ. */
const SLACK = 5

export interface Replicas {
  redis: PrivateRedis
  /** `REDIS_PREFIX` of all replicas. */
  prefix: string
  /** The running replicas; a killed one is replaced. */
  services: ServiceProcess[]
  /** Sends each call about a user to a random replica. */
  perform (userId: number, random: Random): Perform
  /** The faults, by name. Each resolves when it is over. */
  faults: Record<string, (random: Random) => Promise<void>>
  /** Waits until every replica is ready. */
  heal (): Promise<void>
}

/** `retryWindow` is in seconds; `settings` are arguments of redis-server. */
export async function startReplicas (t: Test, retryWindow: number, settings = ['--appendonly', 'no']): Promise<Replicas> {
  const redis = await startRedis(t, settings)
  const shared = environment(redis.url, { REFRESH_RETRY_WINDOW: String(retryWindow), LOG_LEVEL: 'info' })
  const proxies = await Promise.all(Array.from({ length: REPLICAS }, async () => await startProxy(t, new URL(redis.url).pathname)))
  const start = async ({ url }: Proxy): Promise<ServiceProcess> => await startService(t, { ...shared, REDIS_URL: url })
  const services = await Promise.all(proxies.map(start))

  const frozen = async (during: () => Promise<unknown>): Promise<void> => {
    redis.freeze()
    await during()
    redis.thaw()
  }
  const oneOf = (random: Random): number => Math.floor(random() * REPLICAS)

  return {
    redis,
    prefix: shared.REDIS_PREFIX!,
    services,
    perform: (userId, random) => async call => await perform(services[oneOf(random)]!, userId, call),
    faults: {
      none: async () => {},
      'frozen for a moment': async random => await frozen(async () => await delay(300 * random())),
      'frozen for too long': async random => await frozen(async () => await delay(TIMEOUT * (0.9 + random()))),
      'cut before Redis gets it': async () => { for (const proxy of proxies) proxy.cutNext('before') },
      'cut after Redis has answered': async () => { for (const proxy of proxies) proxy.cutNext('after') },
      // Only one replica, so that the others keep running.
      'cut while it is under way': async random => { proxies[oneOf(random)]!.cutNext('underway', 500 * random()) },
      'cut at any time': async random => {
        await delay(20 * random())
        for (const proxy of proxies) proxy.cut()
      },
      'cut while frozen': async random => await frozen(async () => {
        await delay(50 * random())
        for (const proxy of proxies) proxy.cut()
        await delay(500 * random())
      }),
      'SCRIPT FLUSH': async random => {
        for (let i = 0; i < 5; i++) {
          await delay(5 * random())
          await redis.client.script('FLUSH')
        }
      },
      'a replica is killed': async random => {
        const i = oneOf(random)
        await delay(20 * random())
        services[i]!.child.kill('SIGKILL')
        await services[i]!.exited
        services[i] = await start(proxies[i]!)
      }
    },
    async heal () {
      for (const { internalUrl } of services) while ((await fetch(`${internalUrl}/readyz`)).status !== 200) await delay(10)
    }
  }
}

/** Performs a call over HTTP. After a 500 a call may have taken effect; without an answer it may take effect until the deadline. */
async function perform (service: ServiceProcess, userId: number, call: Call): ReturnType<Perform> {
  if (call.type === 'authenticate') return await authenticate(call.name)
  try {
    const response = await send(service, userId, call)
    return response.status === 500 ? { answer: undefined, lateBy: SLACK } : { answer: await toAnswer(call, response) }
  } catch {
    return { answer: undefined, lateBy: TIMEOUT + SLACK }
  }
}

/** A call that is an HTTP request: every call except the beginning of a log-in. */
type Request = Exclude<Call, { type: 'authenticate' }>

async function send ({ publicUrl, internalUrl }: ServiceProcess, userId: number, call: Request): Promise<Response> {
  if (call.type === 'refresh') return await postRefresh(publicUrl, call.token.bytes, call.token.device, call.key)
  const headers = { 'Content-Type': 'application/json', authorization: `Bearer ${apiKey}` }
  const sessions = `${internalUrl}/internal/users/${userId}/sessions`
  switch (call.type) {
    case 'open': {
      const { device: deviceId, label, login } = call
      const body = JSON.stringify({ ...PROFILE, userId, deviceId, label, authenticatedAt: login?.authenticatedAt })
      return await fetch(`${internalUrl}/internal/sessions`, { method: 'POST', headers, body })
    }
    case 'revoke': return await fetch(`${sessions}/${call.sid}`, { method: 'DELETE', headers: { authorization: headers.authorization } })
    case 'revokeAll': return await fetch(sessions, { method: 'DELETE', headers: { authorization: headers.authorization } })
    case 'updateProfile': {
      const body = JSON.stringify({ role: call.role })
      return await fetch(`${internalUrl}/internal/users/${userId}`, { method: 'PATCH', headers, body })
    }
    case 'list': return await fetch(sessions, { headers })
  }
}

async function toAnswer (call: Call, response: Response): Promise<Answer> {
  switch (`${call.type} ${response.status}`) {
    case 'open 201':
    case 'refresh 200': {
      const { refreshToken: bytes, role } = await response.json() as { refreshToken: string, role: string }
      const { sid, gen } = claimsOf(bytes)
      const device = call.type === 'open' ? call.device : (call as Call & { type: 'refresh' }).token.device
      return { type: 'tokens', token: { bytes, sid, gen, device }, role }
    }
    case 'open 409':
    case 'refresh 400': return { type: 'refused' }
    case 'updateProfile 204':
    case 'updateProfile 404': return { type: 'updated', updated: response.status === 204 }
    case 'revoke 204':
    case 'revokeAll 204': return { type: 'done' }
    case 'list 200': {
      const { sessions } = await response.json() as { sessions: Array<{ label: string, generation: number }> }
      return { type: 'listed', sessions: sessions.map(({ label, generation }) => `${label} ${generation}`).sort() }
    }
    default: throw new Error(`${call.type}: ${response.status}`)
  }
}
