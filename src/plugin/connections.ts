import type { FastifyBaseLogger } from 'fastify'
import { redisOptions } from '#src/config/options'
import { StartError } from '#src/errors'
import { withoutArguments } from '#src/log/redact'
import { isCluster, type RedisClient } from '#src/redis/client'
import { connectRedis } from '#src/redis/connect'
import { checkGiven } from '#src/redis/given-client'
import { withOptionNames, type Settings } from './options.ts'

/** The clients of one instance of the plugin. */
export interface Connections {
  redis: RedisClient
  waitForReplicas: { redis: RedisClient, replicas: number } | undefined
  /** Ends the connections that the plugin has made. */
  close (): void
}

/**
 * Connects to an address, or checks a given client. A second client waits for replicas, because a wait blocks its connection.
 * @throws Error when Redis can't be used; its sentence names the option and no password.
 */
export async function openConnections ({ config, redis: given }: Pick<Settings, 'config' | 'redis'>, log: FastifyBaseLogger): Promise<Connections> {
  const replicas = config.REDIS_WAIT_REPLICAS
  const own: RedisClient[] = []
  const close = (): void => { for (const client of own) client.disconnect() }
  try {
    if (typeof given === 'string') {
      const options = redisOptions({ ...config, REDIS_URL: given, RATE_LIMIT_PER_ADDRESS: 'off', RATE_LIMIT_PER_SESSION: 'off' })
      for (let n = replicas > 0 ? 2 : 1; n > 0; n--) own.push(await connectRedis(options, log))
    } else {
      const findings = await checkGiven(given, { prefix: config.REDIS_PREFIX, waitsForReplicas: replicas > 0 })
      for (const { fatal, text } of findings) {
        if (fatal) throw new StartError(text)
        log.warn(withOptionNames(text))
      }
      if (replicas > 0) own.push(duplicate(given))
    }
  } catch (err) {
    close()
    throw new Error(withOptionNames(withoutArguments((err as Error).message)))
  }
  return {
    redis: typeof given === 'string' ? own[0]! : given,
    waitForReplicas: replicas > 0 ? { redis: own.at(-1)!, replicas } : undefined,
    close
  }
}

/** Ignores the errors of the copy: the app's client has the same ones. */
function duplicate (given: RedisClient): RedisClient {
  const copy: RedisClient = isCluster(given) ? given.duplicate() : given.duplicate()
  copy.on('error', () => {})
  return copy
}
