/** A connection without an answer for so many milliseconds counts as dead. */
export const SILENCE_TIMEOUT = 700

/**
 * Connection options. A command that can't be sent now fails now. No command is queued for later, because its client has been
 * told to try again by then. Reconnects for ever, with at most half a second between two attempts.
 */
export const behaviour = {
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
