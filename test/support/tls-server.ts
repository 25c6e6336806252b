import type { Test } from 'tap'
import { startRedis, tempFolder, type PrivateRedis } from './helper.ts'
import { freePort } from './ports.ts'
import { makeAuthority } from './authority.ts'

/** A Redis with TLS. The paths of PEM files: its authority, and a client certificate that it accepts. */
export interface TlsRedis {
  redis: PrivateRedis
  port: number
  ca: string
  client: { cert: string, key: string }
}

/** Starts a Redis that requires client certificates; its own certificate is for localhost and 127.0.0.1. */
export async function startTlsRedis (t: Test): Promise<TlsRedis> {
  const { ca, issue } = await makeAuthority(await tempFolder(t))
  const [server, client] = [await issue('server'), await issue('client')]
  const redis = await startRedis(t, ['--tls-port', '0'])
  const port = await freePort()
  for (const [name, value] of [['tls-cert-file', server.cert], ['tls-key-file', server.key], ['tls-ca-cert-file', ca], ['tls-port', String(port)]] as const) {
    await redis.client.config('SET', name, value)
  }
  return { redis, port, ca, client }
}
