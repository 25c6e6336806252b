import { Redis } from 'ioredis'
import type { FastifyBaseLogger } from 'fastify'
import { StartError } from '../errors.ts'
import { behaviour } from './behaviour.ts'
import { withoutArguments } from './message.ts'
import { parseRedisUrl } from './url.ts'

/** Milliseconds that the start waits for Redis: it may be starting too, but the process has to end within ten seconds. */
const START_TIMEOUT = 8000

/** Milliseconds between two connections given up because the server is read-only. */
const READONLY_PAUSE = 1000

/**
 * Connects to the Redis of `REDIS_URL` and checks that it can do the work.
 * @throws StartError when there is none in time, it refuses us, or it is too old. The sentence names the place, never
 * a password.
 */
export async function connectRedis (url: string, log: FastifyBaseLogger): Promise<Redis> {
  const { options, display } = parseRedisUrl(url)!
  const redis = new Redis({ ...behaviour, ...options, reconnectOnError: createReadonlyCheck() })
  let lastError = 'no answer'
  const refused = new Promise<never>((_resolve, reject) => {
    redis.on('error', (err: Error) => {
      lastError = withoutArguments(err.message)
      if (/^(NOAUTH|WRONGPASS|NOPERM|ERR)/.test(err.message)) reject(err)
    })
  })
  redis.on('connect', () => { lastError = 'it is still loading its data, or does not answer' })
  redis.on('ready', () => { lastError = 'it closed the connection' })

  log.debug({ redis: display }, 'waiting for Redis')
  let timer
  const timeout = new Promise<never>((_resolve, reject) => { timer = setTimeout(reject, START_TIMEOUT) })
  try {
    redis.connect().catch(() => {}) // it goes on trying by itself
    const hello = new Promise(resolve => redis.once('ready', resolve)).then(async () => await redis.hello())
    assertSupported(await Promise.race([hello, refused, timeout]) as unknown[], display)
  } catch (err) {
    redis.disconnect()
    if (err instanceof StartError) throw err
    throw new StartError(`Redis at ${display} (REDIS_URL) can't be used: ${lastError.replace(/\.$/, '')}.`)
  } finally {
    clearTimeout(timer)
  }
  logChanges(redis, display, () => lastError, log)
  return redis
}

/**
 * A demoted master still answers, with READONLY: look for the new one, but not at every refusal, since a server that
 * stays read-only would get nothing but new connections.
 */
function createReadonlyCheck (): (err: Error) => boolean {
  let last = -Infinity
  return ({ message }) => {
    if (!message.startsWith('READONLY') || performance.now() - last < READONLY_PAUSE) return false
    last = performance.now()
    return true
  }
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
