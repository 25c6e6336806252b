import { connect as connectTcp, type NetConnectOpts, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { AbstractConnector, SentinelConnector, type Redis, type RedisOptions } from 'ioredis'

// Connections are made as ioredis makes them, but for two things. A TLS socket may tell of an error when it has failed and is
// closed already, as with a server that rejects our certificate. ioredis listens for the first error only, and one that nobody
// listens for ends the process. And a closed client keeps no process alive: ioredis would wait two seconds for the close of
// sockets that are closed already, and would go on asking sentinels.

function heed (stream: Socket): Socket {
  return stream.on('error', () => {})
}

/** To one server; also to each of a Cluster, and for questions to it. */
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
    // Whoever changes their mind at once has no connection made.
    await Promise.resolve()
    if (!this.connecting) throw new Error('Connection is closed.')
    const stream = tls === undefined ? connectTcp(address as NetConnectOpts) : connectTls({ ...address, ...tls } as ConnectionOptions)
    stream.once('error', err => { this.firstError = err })
    this.stream = heed(stream)
    return stream
  }

  override disconnect (): void {
    if (this.stream?.destroyed) this.stream = undefined!
    super.disconnect()
  }
}

/** To a sentinel. A question has no effect, so its connection is cut: a frozen sentinel would not end it. */
class QuestionConnector extends ServerConnector {
  override disconnect (): void {
    this.stream?.destroy()
    super.disconnect()
  }
}

/** What ioredis keeps to itself. */
interface AsksSentinels {
  connectToSentinel (endpoint: unknown, options?: object): Redis
  resolve (endpoint: unknown): Promise<unknown>
}

/** To sentinels, and to the master that they name. */
class GroupConnector extends SentinelConnector {
  /** Aborted by `disconnect`. */
  #attempt = new AbortController()
  #lastAsked: Redis | undefined

  constructor (options: RedisOptions) {
    // Nothing ends ioredis's pause between two rounds. So it makes none, and the first question of the next round waits.
    let pause = 0
    const sentinelRetryStrategy = (times: number): number => {
      pause = Number(options.sentinelRetryStrategy!(times))
      return 0
    }
    super({ ...options, sentinelRetryStrategy })

    const own = this as unknown as AsksSentinels
    const { connectToSentinel, resolve } = own
    own.connectToSentinel = (endpoint, more) => {
      this.#lastAsked = connectToSentinel.call(own, endpoint, { ...more, Connector: QuestionConnector })
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
    return heed(await super.connect(emitError))
  }

  override disconnect (): void {
    this.#attempt.abort()
    this.#lastAsked?.disconnect()
    if (this.stream?.destroyed) this.stream = undefined!
    super.disconnect()
  }
}

/** For a client's options, and so for its duplicates too: those of a group's client may be for one of its servers. */
export const Connector = function (options: RedisOptions) {
  return options.sentinels ? new GroupConnector(options) : new ServerConnector(options)
} as unknown as NonNullable<RedisOptions['Connector']>
