import { connect as connectTcp, type NetConnectOpts, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { AbstractConnector, SentinelConnector, type Redis, type RedisOptions } from 'ioredis'

// These connectors differ from ioredis's in two ways. First, they ignore late errors: a TLS socket may emit a second error after
// it has failed and closed, for example when a server rejects our certificate. ioredis handles only the first error, and an
// unhandled error ends the process. Second, a closed client keeps no process alive: ioredis would wait two seconds for the
// close of sockets that are closed already, and would go on asking sentinels.

function ignoreLateErrors (stream: Socket): Socket {
  return stream.on('error', () => {})
}

/** Connects to one server, also of a Cluster, and for slot refreshes too. */
class ServerConnector extends AbstractConnector {
  readonly #options: RedisOptions

  constructor (options: RedisOptions) {
    super(options.disconnectTimeout!)
    this.#options = options
  }

  override async connect (): Promise<Socket> {
    const { path, host, port, family, tls } = this.#options
    const address = path === undefined ? { host, port, family } : { path }
    this.connecting = true
    // A `disconnect` right after `connect` comes first, and no socket is opened.
    await Promise.resolve()
    if (!this.connecting) throw new Error('Connection is closed.')
    const stream = tls === undefined ? connectTcp(address as NetConnectOpts) : connectTls({ ...address, ...tls } as ConnectionOptions)
    stream.once('error', err => { this.firstError = err })
    this.stream = ignoreLateErrors(stream)
    return stream
  }

  override disconnect (): void {
    if (this.stream?.destroyed) this.stream = undefined!
    super.disconnect()
  }
}

/** Connects to a sentinel. Questions to it have no effect, so `disconnect` destroys the socket: a frozen sentinel would not close it. */
class OneSentinelConnector extends ServerConnector {
  override disconnect (): void {
    this.stream?.destroy()
    super.disconnect()
  }
}

/** Private methods of ioredis's `SentinelConnector`. */
interface SentinelInternals {
  connectToSentinel (endpoint: unknown, options?: object): Redis
  resolve (endpoint: unknown): Promise<unknown>
}

/** Connects to sentinels, and to the master that they name. */
class GroupConnector extends SentinelConnector {
  /** Aborted by `disconnect`. */
  #attempt = new AbortController()
  #lastAsked: Redis | undefined

  constructor (options: RedisOptions) {
    // ioredis's pause between two rounds of sentinels can't be aborted. So its pause is 0, and `resolve` pauses before the next round.
    let pause = 0
    const sentinelRetryStrategy = (times: number): number => {
      pause = Number(options.sentinelRetryStrategy!(times))
      return 0
    }
    super({ ...options, sentinelRetryStrategy })

    const own = this as unknown as SentinelInternals
    const { connectToSentinel, resolve } = own
    own.connectToSentinel = (endpoint, more) => {
      this.#lastAsked = connectToSentinel.call(own, endpoint, { ...more, Connector: OneSentinelConnector })
      return this.#lastAsked
    }
    own.resolve = async endpoint => {
      const ms = pause
      pause = 0
      if (ms > 0) await delay(ms, undefined, { signal: this.#attempt.signal })
      return await resolve.call(own, endpoint)
    }
  }

  override async connect (emitError: Parameters<SentinelConnector['connect']>[0]): Promise<Socket> {
    this.#attempt = new AbortController()
    return ignoreLateErrors(await super.connect(emitError))
  }

  override disconnect (): void {
    this.#attempt.abort()
    this.#lastAsked?.disconnect()
    if (this.stream?.destroyed) this.stream = undefined!
    super.disconnect()
  }
}

/** Chooses a connector by the options, for duplicates too: a duplicate of a Sentinel client may connect to a single server. */
export const Connector = function (options: RedisOptions) {
  return options.sentinels ? new GroupConnector(options) : new ServerConnector(options)
} as unknown as NonNullable<RedisOptions['Connector']>
