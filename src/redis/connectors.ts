import { connect as connectTcp, type NetConnectOpts, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { AbstractConnector, SentinelConnector, type Redis, type RedisOptions } from 'ioredis'

// Connections are made as ioredis makes them, but for one thing: a TLS socket may tell of an error when it has failed and is
// closed already, as with a server that rejects our certificate. ioredis listens for the first error only, and one that nobody
// listens for ends the process.

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
}

interface AsksSentinels { connectToSentinel (...args: unknown[]): Redis }

/** To sentinels, and to the master that they name. */
class GroupConnector extends SentinelConnector {
  constructor (options: RedisOptions) {
    super(options)
    const own = this as unknown as AsksSentinels
    const { connectToSentinel } = own
    own.connectToSentinel = (...args) => {
      const sentinel = connectToSentinel.apply(own, args)
      // Before that, a socket tells of one error only.
      return sentinel.on('connect', () => { heed(sentinel.stream) })
    }
  }

  override async connect (emitError: Parameters<SentinelConnector['connect']>[0]): Promise<Socket> {
    return heed(await super.connect(emitError))
  }
}

/** For a client's options, and so for its duplicates too: those of a group's client may be for one of its servers. */
export const Connector = function (options: RedisOptions) {
  return options.sentinels ? new GroupConnector(options) : new ServerConnector(options)
} as unknown as NonNullable<RedisOptions['Connector']>
