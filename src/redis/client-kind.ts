import type { RedisClient } from './client.ts'

interface Options {
  keyPrefix?: string
  role?: string
  readOnly?: boolean
  scaleReads?: unknown
  redisOptions?: Options
}

/** Whether the value is an ioredis client, told by its methods: the app may have another copy of ioredis. */
export function isClient (value: unknown): value is RedisClient {
  const { defineCommand, isCluster, options } = Object(value) as Partial<RedisClient>
  return typeof defineCommand === 'function' && typeof isCluster === 'boolean' && typeof options === 'object' && options !== null
}

/** Whether the client sends commands to masters, with keys as given. A replica may not know of a log-out yet. */
export function asksMasters ({ options }: RedisClient): boolean {
  const { redisOptions = {}, scaleReads = 'master', ...own } = options as Options
  return scaleReads === 'master' && [own, redisOptions].every(({ keyPrefix, role = 'master', readOnly = false }) =>
    !keyPrefix && role === 'master' && !readOnly)
}
