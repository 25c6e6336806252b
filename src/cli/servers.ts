import { Cluster, type Redis } from 'ioredis'
import type { RedisClient } from '#src/redis/client'

/** The servers that hold records, each once: the one, or every master of a Cluster that has slots. */
export interface Masters {
  reached: Redis[]
  /** The names of those that can't be asked; their part of the records is out of sight. */
  away: string[]
}

export function mastersOf (client: RedisClient): Masters {
  if (!(client instanceof Cluster)) return { reached: [client], away: [] }
  // A server that can't be reached is no node any more, but still the owner of slots.
  const owners = new Set(client.slots.map(([owner]) => owner!))
  const reached = client.nodes('master').filter(node => node.status === 'ready' && owners.has(nameOf(node)))
  return { reached, away: [...owners].filter(owner => !reached.some(node => nameOf(node) === owner)) }
}

/** How to name a server in a sentence: host and port, or the path of its socket. */
export function nameOf ({ options: { path, host, port } }: Redis): string {
  return path ?? `${host}:${port}`
}
