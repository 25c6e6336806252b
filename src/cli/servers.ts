import { Cluster, type Redis } from 'ioredis'
import type { RedisClient } from '#src/redis/client'

/** The servers that hold records, each once: the single server, or every Cluster master that owns slots. */
export interface Masters {
  reached: Redis[]
  /** Names of the masters that can't be reached; their records are missing. */
  away: string[]
}

export function mastersOf (client: RedisClient): Masters {
  if (!(client instanceof Cluster)) return { reached: [client], away: [] }
  // ioredis drops an unreachable server from its nodes, but the slot table still lists it as an owner.
  const owners = new Set(client.slots.map(([owner]) => owner!))
  const reached = client.nodes('master').filter(node => node.status === 'ready' && owners.has(nameOf(node)))
  return { reached, away: [...owners].filter(owner => !reached.some(node => nameOf(node) === owner)) }
}

/** Names a server for messages: host and port, or the path of its socket. */
export function nameOf ({ options: { path, host, port } }: Redis): string {
  return path ?? `${host}:${port}`
}
