import type { Cluster, Redis } from 'ioredis'
import { isCluster, SILENCE_TIMEOUT, type RedisClient } from '../../../src/redis/client.ts'
import { expiryOf, userKey } from '../../../src/redis/records.ts'
import { clusterRoutes, sendUntilRun } from '../../../src/redis/redirects.ts'
import { createTopology } from '../../../src/redis/topology.ts'
import type { AccessClaims } from '../../../src/tokens/claims.ts'
import { readClaims, type Claims } from '../../../src/tokens/custom-claims.ts'
import type { UserId } from '../../../src/tokens/user-id.ts'
import { orUnavailable, SessionValidationError } from './errors.ts'

/** A session that was live at its last look-up. Frozen, because the cache returns the same object to every caller. */
export interface ValidSession {
  /** User id: an integer or a text, the type that the login service opened the session with. */
  readonly id: UserId
  /** Session id: the same from log-in to log-out, however often the session is refreshed. */
  readonly sid: string
  /** Both from the record, not from the token, so a change takes effect at once; '' if the login service has given none. */
  readonly email: string
  readonly role: string
  /** The claims of the user and the session, as the login service set them; also from the record. Frozen at every level. */
  readonly claims: Claims
  /**
   * Latest time this answer is valid, in Unix seconds: the earlier of the access token's `exp` and the session's expiry.
   * The session may be revoked earlier. A refresh may prolong it, which gives a new token and a new answer. A service that
   * keeps a connection open for a session closes it or validates again by this time.
   */
  readonly expiresAt: number
  /** The thumbprint of the key that the access token is bound to; absent for a bearer token. */
  readonly jkt?: string
}

/**
 * Looks up the session of a verified token with one HMGET. Compares the session's expiry with this machine's clock, like
 * the token's: this is off by the difference of the clocks, but needs no second command. Redis expires the whole record by
 * its own clock.
 * @throws SessionValidationError `revoked`, or `unavailable` within `SILENCE_TIMEOUT`.
 */
export async function lookUp (read: ReadRecord, prefix: string, { id, sid, exp, cnf }: AccessClaims): Promise<ValidSession> {
  const [value, email, role, ...claims] = await orUnavailable(read(userKey(prefix, id), `s:${sid}`, 'email', 'role', 'c', `c:${sid}`))
  if (value == null) throw new SessionValidationError('revoked', 'the session has ended')
  const expiry = expiryOf(value)
  if (expiry === undefined || email == null || role == null) throw damaged(id)
  if (expiry * 1000 <= Date.now()) throw new SessionValidationError('revoked', 'the session has expired')
  return Object.freeze({ id, sid, email, role, claims: toClaims(id, claims), expiresAt: Math.min(exp, expiry), ...cnf && { jkt: cnf.jkt } })
}

function toClaims (id: UserId, [user, session]: Array<string | null>): Claims {
  try {
    return readClaims(user, session)
  } catch {
    throw damaged(id)
  }
}

function damaged (id: UserId): SessionValidationError {
  return new SessionValidationError('unavailable', `the record of user ${id} is damaged`)
}

/** Reads fields of a record from the master that holds it. */
export type ReadRecord = (key: string, ...fields: string[]) => Promise<Array<string | null>>

export function createReadRecord (redis: RedisClient): ReadRecord {
  return isCluster(redis) ? ofCluster(redis) : readFrom(redis)
}

function ofCluster (cluster: Cluster): ReadRecord {
  const routes = clusterRoutes(createTopology(cluster), SILENCE_TIMEOUT, (node, asking) => asking ? readAsking(node) : readFrom(node))
  return async (key, ...fields) => await sendUntilRun(routes, key, read => read(key, ...fields))
}

function readFrom (node: Redis): ReadRecord {
  return async (key, ...fields) => await node.hmget(key, ...fields)
}

function readAsking (node: Redis): ReadRecord {
  return async (key, ...fields) => {
    const results = await node.pipeline().asking().hmget(key, ...fields).exec()
    const [failure, values] = results![1] as [Error | null, Array<string | null>]
    if (failure !== null) throw failure
    return values
  }
}
