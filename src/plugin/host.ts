import type { Reporter } from '#src/core/error-handler'
import type { Limits } from '#src/core/core'
import type { RedisClient } from '#src/redis/client'
import type { ScriptObserver } from '#src/sessions/runner'

/** The option, no part of the package's interface, in which the service gives the plugin what it shares with its listener. */
export const HOST = Symbol('host')

export interface Host {
  /** Connected, checked and closed by the service. */
  redis: RedisClient
  waitForReplicas: { redis: RedisClient, replicas: number } | undefined
  observe: ScriptObserver
  reporter: Reporter
  limits: Limits
}
