import type { FastifyBaseLogger } from 'fastify'
import { StartError } from '#src/errors'
import { withTimeout } from '#src/timeout'
import type { RedisClient } from '#src/redis/client'
import type { KeyNames } from '#src/config/signing-keys'
import { claimPrefix, foreignPrefix, readOwner, type Ownership } from './issuer.ts'
import { compareKeys } from './keys.ts'

/** Milliseconds that a readiness check waits for Redis. */
const PROBE_TIMEOUT = 500

/** Checks that all replicas on a prefix have the same issuer and the same keys. */
export interface DeploymentWatch {
  /**
   * Claims the prefix and announces the keys. Logs a warning if Redis refuses.
   * @throws StartError when another issuer has the prefix.
   */
  start (): Promise<void>
  /** Claims and announces again, and logs changes. Never rejects: without Redis there is nothing to compare. */
  recheck (): Promise<void>
  /** Until the prefix has once been ours, rejects while another issuer has it. Needed only if Redis failed in `start`. */
  probe (): Promise<void>
}

export interface WatchOptions {
  redis: RedisClient
  ownership: Ownership
  names: KeyNames
  log: FastifyBaseLogger
  /** Called with the number of other replicas' signing keys that this replica does not know. */
  onUnknownKeys: (count: number) => void
}

export function createWatch ({ redis, ownership, names, log, onUnknownKeys }: WatchOptions): DeploymentWatch {
  const { prefix, issuer } = ownership
  let wasOurs = false
  let isForeign = false
  let lastUnknown = ''

  function assertOurs (owner: string): void {
    if (owner !== issuer) throw new StartError(foreignPrefix(owner, ownership))
    wasOurs = true
  }

  async function claim (): Promise<void> {
    assertOurs(await claimPrefix(redis, ownership))
  }

  async function logUnknownKeys (): Promise<void> {
    const unknown = await compareKeys(redis, prefix, names)
    onUnknownKeys(unknown.length)
    if (unknown.join() === lastUnknown) return
    lastUnknown = unknown.join()
    if (unknown.length === 0) log.info('every key that other replicas sign with is known here')
    else log.warn({ keys: unknown }, 'other replicas sign with keys that this one does not know: it refuses their tokens, and clients log in again')
  }

  return {
    async start () {
      try {
        await claim()
        await logUnknownKeys()
      } catch (err) {
        if (err instanceof StartError) throw err
        log.warn({ err }, 'Redis would not say whether REDIS_PREFIX belongs to another JWT_ISSUER, nor which keys other replicas have')
        // A Redis that refuses writes may still answer reads.
        const owner = await readOwner(redis, prefix).catch(() => undefined)
        if (owner !== undefined) assertOurs(owner)
      }
    },

    async recheck () {
      try {
        await claim()
        isForeign = false
        await logUnknownKeys()
      } catch (err) {
        if (err instanceof StartError && !isForeign) log.error((err as Error).message)
        isForeign ||= err instanceof StartError
      }
    },

    async probe () {
      if (wasOurs) return
      await withTimeout(claim(), PROBE_TIMEOUT, () => {}).catch(err => {
        // Redis failures are left to the store's probe. In a Cluster, only the marker's shard may be down.
        if (err instanceof StartError) throw err
      })
    }
  }
}
