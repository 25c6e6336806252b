import { isIP } from 'node:net'
import { shortestPath } from './socket-path.ts'

/** The part of ioredis's options with the address and the login. */
export interface ConnectionOptions {
  host?: string
  port?: number
  path?: string
  db?: number
  username?: string
  password?: string
  tls?: { servername?: string }
}

export interface Endpoint {
  host: string
  port: number
}

/**
 * How to connect, by topology. `display` names the address in messages, without user or password. For Sentinel and Cluster,
 * `options` apply to each server and contain no address.
 */
export type RedisAddress = { display: string, options: ConnectionOptions } & (
  | { topology: 'single' }
  | { topology: 'sentinel', sentinels: Endpoint[], master: string }
  | { topology: 'cluster', nodes: Endpoint[] }
)

/**
 * Reads a `REDIS_URL`; `undefined` when it is none of these:
 * - `redis://[user:password@]host[:6379][/db]`
 * - `redis+socket:///path[?db=n]`, a unix socket
 * - `redis+sentinel://[user:password@]host[:26379],…/master[/db]`
 * - `redis+cluster://[user:password@]host[:6379],…`
 *
 * All of them except the socket also work over TLS, with `rediss` for `redis`.
 */
export function parseRedisUrl (text: string): RedisAddress | undefined {
  try {
    const [, scheme, group, user, hosts, path] = /^(rediss?)\+(sentinel|cluster):\/\/(?:([^/?#]*)@)?([^/?#@]+)(?:\/([^?#]*))?$/.exec(text) ?? []
    if (group !== undefined) return overGroup(scheme!, group, user ?? '', hosts!, path ?? '')
    const url = new URL(text)
    switch (url.protocol) {
      case 'redis:': return overTcp(url)
      case 'rediss:': return overTcp(url, { tls: {} })
      case 'redis+socket:': return overSocket(url)
      default: return undefined
    }
  } catch {
    return undefined // not a URL, or an invalid % escape
  }
}

/** Parses each host as a URL of its own, because `new URL` can't parse several hosts. */
function overGroup (scheme: string, group: string, user: string, hosts: string, path: string): RedisAddress | undefined {
  const urls = hosts.split(',').map(host => new URL(`redis://${host}`))
  if (urls.some(url => url.hostname === '' || url.pathname !== '')) return undefined
  const endpoints = urls.map(url => endpoint(url, group === 'sentinel' ? 26379 : 6379))
  const options = { ...credentials(new URL(`redis://${user}@host`)), ...(scheme === 'rediss' ? { tls: {} } : {}) }
  const place = `${scheme}+${group}://${urls.map((url, i) => `${url.hostname}:${endpoints[i]!.port}`).join(',')}`

  if (group === 'cluster') return path === '' ? { topology: 'cluster', display: place, options, nodes: endpoints } : undefined
  const [, master, digits = ''] = /^([\w.-]+)(?:\/(.*))?$/.exec(path) ?? []
  const db = parseDb(digits)
  if (master === undefined || db === undefined) return undefined
  return { topology: 'sentinel', display: `${place}/${master}/${db}`, options: { ...options, db }, sentinels: endpoints, master }
}

function overTcp (url: URL, options: ConnectionOptions = {}): RedisAddress | undefined {
  const db = parseDb(url.pathname.slice(1))
  if (url.hostname === '' || db === undefined) return undefined
  const { host, port } = endpoint(url, 6379)
  // A TLS server name must be a host name, not an IP address (RFC 6066 section 3).
  if (options.tls !== undefined && isIP(host) === 0) options.tls = { servername: host }
  const display = `${url.protocol}//${url.hostname}:${port}/${db}`
  return { topology: 'single', display, options: { ...options, ...credentials(url), host, port, db } }
}

function overSocket (url: URL): RedisAddress | undefined {
  const db = parseDb(url.searchParams.get('db') ?? '')
  const path = decodeURIComponent(url.pathname)
  if (url.host !== '' || path.length < 2 || db === undefined) return undefined
  return { topology: 'single', display: `unix socket ${path}`, options: { path: shortestPath(path), db } }
}

function endpoint (url: URL, defaultPort: number): Endpoint {
  return { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: url.port === '' ? defaultPort : Number(url.port) }
}

function credentials (url: URL): Pick<ConnectionOptions, 'username' | 'password'> {
  return {
    ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
    ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) })
  }
}

function parseDb (text: string): number | undefined {
  return /^\d{0,5}$/.test(text) ? Number(text) : undefined
}
