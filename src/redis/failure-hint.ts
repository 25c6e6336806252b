import { once } from 'node:events'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { RedisAddress } from '#src/settings/redis-url'
import { withTimeout } from '#src/timeout'

/** Time limit for one probe, in milliseconds. */
const PROBE_TIMEOUT = 700

/** The error for an answer that is not in the Redis protocol; waiting does not help. */
export const FOREIGN = /^Unknown RESP type/

/**
 * Explains a start that failed for `reason`, and how to correct `REDIS_URL`: the server speaks another protocol, uses TLS or
 * does not, or wants a password. `undefined` when there is nothing to add to `reason`. Probes the first server of the address,
 * without logging in.
 */
export async function failureHint (address: RedisAddress, reason: string): Promise<string | undefined> {
  if (reason.startsWith('NOAUTH')) return missingPassword(address)
  if (FOREIGN.test(reason)) {
    return `it does not speak the protocol of Redis${reason.includes('"H"') ? ' but probably HTTP' : ''}, so host or port of REDIS_URL must be wrong`
  }
  const { host, port } = address.topology === 'single' ? address.options : firstOf(address)
  if (host === undefined || port === undefined) return undefined
  if (address.options.tls !== undefined) {
    return await answersPlainly(host, port) ? 'it answers without TLS, so REDIS_URL must begin with redis instead of rediss' : undefined
  }
  return await speaksTls(host, port) ? 'it answers with TLS, so REDIS_URL must begin with rediss instead of redis' : undefined
}

function firstOf (address: Exclude<RedisAddress, { topology: 'single' }>): { host: string, port: number } {
  return (address.topology === 'sentinel' ? address.sentinels : address.nodes)[0]!
}

function missingPassword ({ topology }: RedisAddress): string {
  return topology === 'sentinel'
    ? 'it wants a password (NOAUTH): that of Redis belongs in REDIS_URL, that of the sentinels in REDIS_SENTINEL_PASSWORD'
    : 'it wants a password (NOAUTH), and REDIS_URL has none: write redis://user:password@host, or redis://:password@host for the user default'
}

/** Whether Redis answers a PING without TLS, even with an error. */
async function answersPlainly (host: string, port: number): Promise<boolean> {
  const socket = connect(port, host).on('error', () => {})
  socket.write('PING\r\n')
  const answered = once(socket, 'data').then(([answer]: Buffer[]) => /^[+-]/.test(answer!.toString('latin1')), () => false)
  return await withTimeout(answered, PROBE_TIMEOUT, () => false).finally(() => socket.destroy())
}

/** Whether a TLS handshake succeeds, with any certificate. Sends no data. */
async function speaksTls (host: string, port: number): Promise<boolean> {
  const socket = connectTls({ host, port, rejectUnauthorized: false }).on('error', () => {})
  const speaks = once(socket, 'secureConnect').then(() => true, () => false)
  return await withTimeout(speaks, PROBE_TIMEOUT, () => false).finally(() => socket.destroy())
}
