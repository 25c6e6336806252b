/** Milliseconds without an answer after which a connection counts as dead. */
export const SILENCE_TIMEOUT = 700

/**
 * How a connection behaves once it stands: a request that can't be sent now fails now, and nothing is kept to be sent
 * later, because its client has long been told to try again. Reconnecting goes on for ever, at most half a second apart.
 */
export const behaviour = {
  lazyConnect: true,
  connectTimeout: SILENCE_TIMEOUT,
  socketTimeout: SILENCE_TIMEOUT,
  // A server that was frozen does not say goodbye either.
  disconnectTimeout: 200,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  enableAutoPipelining: true,
  retryStrategy: (times: number) => Math.min(times * 50, 500),
  connectionName: 'refresh-token-service',
  // CLIENT SETINFO, which not every server knows nor every user may.
  disableClientInfo: true
}
