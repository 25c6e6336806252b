import { isIP } from 'node:net'
import { shortestPath } from './socket-path.ts'

/** The part of ioredis's options that says where, and as whom. */
export interface ConnectionOptions {
  host?: string
  port?: number
  path?: string
  db?: number
  username?: string
  password?: string
  tls?: { servername?: string }
}

/** How to connect, and how to name the place in a sentence: without user or password. */
export interface RedisAddress {
  options: ConnectionOptions
  display: string
}

/**
 * Reads a `REDIS_URL`: `redis://[user:password@]host[:port][/db]`, `rediss://` for the same over TLS, or
 * `redis+socket:///path[?db=n]` for a unix socket. Returns `undefined` for anything else.
 */
export function parseRedisUrl (text: string): RedisAddress | undefined {
  try {
    const url = new URL(text)
    switch (url.protocol) {
      case 'redis:': return overTcp(url)
      case 'rediss:': return overTcp(url, { tls: {} })
      case 'redis+socket:': return overSocket(url)
      default: return undefined
    }
  } catch {
    return undefined // no URL, or a stray % in it
  }
}

function overTcp (url: URL, options: ConnectionOptions = {}): RedisAddress | undefined {
  const db = parseDb(url.pathname.slice(1))
  if (url.hostname === '' || db === undefined) return undefined
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const port = url.port === '' ? 6379 : Number(url.port)
  if (url.username !== '') options.username = decodeURIComponent(url.username)
  if (url.password !== '') options.password = decodeURIComponent(url.password)
  // An address is not a name that a certificate could be asked for (RFC 6066 section 3).
  if (options.tls !== undefined && isIP(host) === 0) options.tls = { servername: host }
  return { options: { ...options, host, port, db }, display: `${url.protocol}//${url.hostname}:${port}/${db}` }
}

function overSocket (url: URL): RedisAddress | undefined {
  const db = parseDb(url.searchParams.get('db') ?? '')
  const path = decodeURIComponent(url.pathname)
  if (url.host !== '' || path.length < 2 || db === undefined) return undefined
  return { options: { path: shortestPath(path), db }, display: `unix socket ${path}` }
}

function parseDb (text: string): number | undefined {
  return /^\d{0,5}$/.test(text) ? Number(text) : undefined
}
