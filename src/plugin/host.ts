import type { Reporter } from '#src/core/error-handler'
import type { Limits } from '#src/core/core'
import type { RedisClient } from '#src/redis/client'
import type { ScriptObserver } from '#src/sessions/runner'
import type { ApiKey } from '#src/settings/api-keys'

/** The option in which the service passes the parts of its listener to the plugin. It is no part of the package's interface. */
export const HOST = Symbol('host')

export interface Host {
  /** Connected, checked and closed by the service. */
  redis: RedisClient
  waitForReplicas: { redis: RedisClient, replicas: number } | undefined
  observe: ScriptObserver
  reporter: Reporter
  limits: Limits
  /** The keys of the internal API whose callers can be confidential OAuth clients. */
  clients: ApiKey[]
}
