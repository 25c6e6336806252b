import { Cluster, Redis } from 'ioredis'
import { behaviour, SILENCE_TIMEOUT } from './options.ts'
import { Connector } from './connectors.ts'
import type { TlsOptions } from '#src/settings/tls-files'
import type { RedisAddress } from '#src/settings/redis-url'

/** One server, the master that sentinels name, or a Cluster. */
export type RedisClient = Redis | Cluster

/** What is to be known for reaching Redis besides the URL. */
export interface ClientOptions {
  tls?: TlsOptions | undefined
  sentinelUsername?: string | undefined
  sentinelPassword?: string | undefined
}

/** What a reader has otherwise than the service. */
interface Differences {
  connectionName?: string
  enableReadyCheck?: boolean
}

/** Milliseconds that one sentinel, or one node asked for the slots, has for its answer: there are others to ask. */
const QUESTION_TIMEOUT = 400

/** Milliseconds between two looks at the slots of a Cluster that nobody asked for. */
const SLOTS_INTERVAL = 5000

/** Milliseconds between two connections given up because the server is read-only. */
const READONLY_PAUSE = 1000

/** A client that is not connected yet. */
export function createClient (
  address: RedisAddress, { tls: pem, sentinelUsername, sentinelPassword }: ClientOptions, differences: Differences = {}
): RedisClient {
  const tls = address.options.tls && { ...address.options.tls, ...pem }
  const options = { ...behaviour, ...differences, ...address.options, ...(tls === undefined ? {} : { tls }), Connector }
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
        sentinelCommandTimeout: QUESTION_TIMEOUT,
        sentinelRetryStrategy: behaviour.retryStrategy,
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
 * The servers of a Cluster are spoken to one by one (sessions/servers.ts); ioredis keeps the connections and the map of
 * slots. It would send a command again whose connection broke, although that may have had its effect: hence no retry.
 */
function createCluster (nodes: Array<{ host: string, port: number }>, options: typeof behaviour): Cluster {
  const { retryStrategy, enableOfflineQueue, ...redisOptions } = options
  const cluster = new Cluster(nodes, {
    lazyConnect: true,
    enableOfflineQueue,
    // "Ready" is that the slots are known; whether a server would run a refresh is what the store's probe asks.
    enableReadyCheck: false,
    clusterRetryStrategy: retryStrategy,
    retryDelayOnFailover: 0,
    slotsRefreshTimeout: QUESTION_TIMEOUT,
    // A name stays a name, for the certificate to be checked against.
    dnsLookup: (address, callback) => callback(null, address),
    redisOptions
  })
  askMembersOnly(cluster)
  // ioredis's own slotsRefreshInterval goes on for ever, and the process with it, when the client is ended during a look.
  const timer = setInterval(() => { cluster.refreshSlotsCache() }, SLOTS_INTERVAL).unref()
  cluster.once('end', () => clearInterval(timer))
  // Before the first request, not with it: a command that is to open its own connection waits for that.
  cluster.on('+node', (node: Redis) => { if (node.options.readOnly !== true) node.connect().catch(() => {}) })
  return cluster
}

interface AsksNodes { getInfoFromNode (node: Redis, callback: (err?: Error | null) => void): void }

type Ranges = unknown[]

/**
 * A server that has left the Cluster answers that there are no slots, at which ioredis closes every connection. Here that
 * answer is an error, and ioredis asks the next server.
 */
function askMembersOnly (cluster: Cluster): void {
  const own = cluster as unknown as AsksNodes
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

/**
 * When a sentinel tells of a failover just while the next is being asked for the master, ioredis ends the client for
 * good. This one ends when it is told to.
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
