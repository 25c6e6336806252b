import { Redis } from 'ioredis'
import type { FastifyBaseLogger } from 'fastify'
import { StartError } from '../errors.ts'
import { parseRedisUrl } from './url.ts'

/** Milliseconds without an answer after which a connection counts as dead. */
const SILENCE = 700

/** Milliseconds that the start waits for Redis: it may be starting too, but the process has to end within ten seconds. */
const PATIENCE = 8000

/**
 * How a connection behaves once it stands: a request that can't be sent now fails now, and nothing is kept to be sent
 * later, because its client has long been told to try again. Reconnecting goes on for ever, at most half a second apart.
 */
const behaviour = {
  lazyConnect: true,
  connectTimeout: SILENCE,
  socketTimeout: SILENCE,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  enableAutoPipelining: true,
  retryStrategy: (times: number) => Math.min(times * 50, 500),
  // A demoted master still answers: look for the new one.
  reconnectOnError: (err: Error) => err.message.startsWith('READONLY'),
  connectionName: 'refresh-token-service'
}

/**
 * Connects to the Redis of `REDIS_URL` and checks that it can do the work.
 * @throws StartError when there is none in time, it refuses us, or it is too old. The sentence names the place, never
 * a password.
 */
export async function connectRedis (url: string, log: FastifyBaseLogger): Promise<Redis> {
  const { options, display } = parseRedisUrl(url)!
  const redis = new Redis({ ...behaviour, ...options })
  let lastError = new Error('no answer')
  const refused = new Promise<never>((_resolve, reject) => {
    redis.on('error', (err: Error) => {
      lastError = err
      if (/^(NOAUTH|WRONGPASS|NOPERM|ERR)/.test(err.message)) reject(err)
    })
  })

  let timer
  const patience = new Promise<never>((_resolve, reject) => { timer = setTimeout(reject, PATIENCE) })
  try {
    redis.connect().catch(() => {}) // it goes on trying by itself
    await Promise.race([new Promise(resolve => redis.once('ready', resolve)), refused, patience])
    assertSupported(await redis.hello() as unknown[], display)
  } catch (err) {
    redis.disconnect()
    if (err instanceof StartError) throw err
    throw new StartError(`Redis at ${display} (REDIS_URL) can't be used: ${lastError.message.replace(/\.$/, '')}.`)
  } finally {
    clearTimeout(timer)
  }

  logChanges(redis, display, () => lastError.message, log)
  return redis
}

/** One line when the connection goes and one when it is back, however many attempts lie between. */
function logChanges (redis: Redis, display: string, reason: () => string, log: FastifyBaseLogger): void {
  let lost = false
  redis.on('reconnecting', () => {
    if (!lost) log.warn({ redis: display, reason: reason() }, 'the connection to Redis is lost')
    lost = true
  })
  redis.on('ready', () => {
    log.info({ redis: display }, 'the connection to Redis is back')
    lost = false
  })
}

/**
 * Refuses servers that lack what the scripts use (script flags, EXPIREAT GT): Redis before 7.0.
 * `hello` is the reply of HELLO: names and values in turn.
 */
export function assertSupported (hello: unknown[], display: string): void {
  const field = (name: string): string => String(hello[hello.indexOf(name) + 1])
  const server = field('server') === 'valkey' ? 'Valkey' : 'Redis'
  const version = field('version')
  if (Number.parseInt(version) < 7) {
    throw new StartError(`${server} ${version} at ${display} is too old: Redis or Valkey 7.0 or later is needed.`)
  }
}
