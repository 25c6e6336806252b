import { Cluster, Redis } from 'ioredis'
import { Connector } from './connectors.ts'
import type { TlsOptions } from '#src/settings/tls-files'
import type { RedisAddress } from '#src/settings/redis-url'

/** One server, the master that sentinels name, or a Cluster. */
export type RedisClient = Redis | Cluster

/** Not by `instanceof`: the client of an app may come from another copy of ioredis. */
export function isCluster (redis: RedisClient): redis is Cluster {
  return redis.isCluster
}

/** Settings for reaching Redis, besides the URL. */
export interface ClientOptions {
  tls?: TlsOptions | undefined
  sentinelUsername?: string | undefined
  sentinelPassword?: string | undefined
}

/** The validator's own connection options. */
interface Overrides {
  connectionName?: string
  enableReadyCheck?: boolean
}

/** Time limit for the answer of a sentinel, or of a node asked for the slots, in milliseconds. Then another one is asked. */
const ANSWER_TIMEOUT = 400

/** Milliseconds between two background refreshes of a Cluster's slots. */
const SLOTS_INTERVAL = 5000

/** Minimum milliseconds between two reconnects because the server is read-only. */
const READONLY_INTERVAL = 1000

/** A connection without an answer for so many milliseconds counts as dead. */
export const SILENCE_TIMEOUT = 700

/**
 * Connection options. A command that can't be sent now fails now. No command is queued for later, because by then its client
 * has been told to try again. Reconnects for ever, with at most half a second between two attempts.
 */
export const connectionOptions = {
  lazyConnect: true,
  connectTimeout: SILENCE_TIMEOUT,
  socketTimeout: SILENCE_TIMEOUT,
  // A frozen server does not close its end of the connection.
  disconnectTimeout: 200,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  enableAutoPipelining: true,
  retryStrategy: (times: number) => Math.min(times * 50, 500),
  connectionName: 'refresh-token-service',
  // Sends no CLIENT SETINFO: some servers don't know it, and some users may not run it.
  disableClientInfo: true
}

/** A client that is not connected yet. */
export function createClient (
  address: RedisAddress, { tls: pem, sentinelUsername, sentinelPassword }: ClientOptions, overrides: Overrides = {}
): RedisClient {
  const tls = address.options.tls && { ...address.options.tls, ...pem }
  const options = { ...connectionOptions, ...overrides, ...address.options, ...(tls === undefined ? {} : { tls }), Connector }
  switch (address.topology) {
    case 'single':
      return new Redis({ ...options, reconnectOnError: createReadonlyCheck() })
    case 'sentinel':
      return new SentinelClient({
        ...options,
        reconnectOnError: createReadonlyCheck(),
        sentinels: address.sentinels,
        name: address.master,
        failoverDetector: true,
        sentinelCommandTimeout: ANSWER_TIMEOUT,
        sentinelRetryStrategy: connectionOptions.retryStrategy,
        sentinelReconnectStrategy: () => SILENCE_TIMEOUT,
        ...(sentinelUsername === undefined ? {} : { sentinelUsername }),
        ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
        ...(tls === undefined ? {} : { sentinelTLS: tls, enableTLSForSentinelMode: true })
      })
    case 'cluster':
      return createCluster(address.nodes, options)
  }
}

/**
 * sessions/servers.ts sends commands to a Cluster's servers directly; ioredis keeps the connections and the slot map. ioredis
 * would resend a command after its connection broke, although the command may have taken effect: hence no retry.
 */
function createCluster (nodes: Array<{ host: string, port: number }>, options: typeof connectionOptions): Cluster {
  const { retryStrategy, enableOfflineQueue, ...redisOptions } = options
  const cluster = new Cluster(nodes, {
    lazyConnect: true,
    enableOfflineQueue,
    // "Ready" means that the slots are known. The store's probe checks whether a server would run a refresh.
    enableReadyCheck: false,
    clusterRetryStrategy: retryStrategy,
    retryDelayOnFailover: 0,
    slotsRefreshTimeout: ANSWER_TIMEOUT,
    // Keeps host names unresolved: the certificate is checked against the name.
    dnsLookup: (address, callback) => callback(null, address),
    redisOptions
  })
  askMembersOnly(cluster)
  // ioredis's own slotsRefreshInterval would run on and keep the process alive if the client ended during a refresh.
  const timer = setInterval(() => { cluster.refreshSlotsCache() }, SLOTS_INTERVAL).unref()
  cluster.once('end', () => clearInterval(timer))
  // Connects before the first command: a command that opens its own connection waits for it.
  cluster.on('+node', (node: Redis) => { if (node.options.readOnly !== true) node.connect().catch(() => {}) })
  return cluster
}

/** A private method of ioredis's `Cluster`. */
interface ClusterInternals { getInfoFromNode (node: Redis, callback: (err?: Error | null) => void): void }

type Ranges = unknown[]

/**
 * A server that has left the Cluster answers with an empty list of slots, and ioredis then closes every connection. This
 * function turns the empty list into an error, so that ioredis asks the next server.
 */
function askMembersOnly (cluster: Cluster): void {
  const own = cluster as unknown as ClusterInternals
  const { getInfoFromNode } = own
  own.getInfoFromNode = (node, callback) => {
    const duplicate: Redis['duplicate'] = options => {
      const asking = node.duplicate(options)
      const send = asking.cluster.bind(asking) as (word: string, callback: (err?: Error | null, ranges?: Ranges) => void) => unknown
      const cluster: typeof send = (word, callback) => send(word, (err, ranges) =>
        callback(ranges?.length === 0 ? new Error('it has left the Cluster') : err, ranges))
      return Object.assign(asking, { cluster })
    }
    getInfoFromNode.call(own, { duplicate } as Redis, callback)
  }
}

/**
 * A demoted master still answers, with READONLY: reconnect to find the new master. Not at every READONLY, because a server
 * that stays read-only would cause one reconnect after another.
 */
function createReadonlyCheck (): (err: Error) => boolean {
  let last = -Infinity
  return ({ message }) => {
    if (!message.startsWith('READONLY') || performance.now() - last < READONLY_INTERVAL) return false
    last = performance.now()
    return true
  }
}

/**
 * When one sentinel reports a failover while ioredis asks the next one for the master, ioredis ends the client for good.
 * This client reconnects, unless `disconnect` was called.
 */
class SentinelClient extends Redis {
  #closing = false

  override disconnect (reconnect = false): void {
    this.#closing ||= !reconnect
    super.disconnect(reconnect)
  }

  override connect (): Promise<void> {
    const connecting = super.connect()
    connecting.catch(() => { if (this.status === 'end' && !this.#closing) this.connect().catch(() => {}) })
    return connecting
  }
}

/** Call before the client connects. Resolves when commands can be sent; in a Cluster, to every reachable master. */
export async function whenReady (redis: RedisClient): Promise<void> {
  await new Promise(resolve => redis.once(isCluster(redis) ? 'refresh' : 'ready', resolve))
  if (!isCluster(redis)) return
  const reached = await Promise.all(redis.nodes('master').map(isReached))
  /* c8 ignore next -- only when replicas alone answer at the start */
  if (!reached.includes(true)) await whenReady(redis)
}

/** Whether the pending connection to a Cluster server succeeds. */
export async function isReached (node: Redis): Promise<boolean> {
  if (node.status === 'ready') return true
  return await new Promise(resolve => {
    node.once('ready', () => resolve(true))
    node.once('end', () => resolve(false))
  })
}
