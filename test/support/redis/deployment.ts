import type { Redis } from 'ioredis'
import type { Passwords } from './deploy-files.ts'
import type { RedisServer } from './server.ts'

/** A real Redis as it is deployed: on one server, in a Sentinel group, or in a Cluster; all on this machine. */
export interface Deployment {
  topology: 'single' | 'sentinel' | 'cluster'
  /** As the service's user. */
  url: string
  /** What the service needs to know besides. */
  env: Record<string, string>
  passwords: Passwords
  /** Those that hold data. */
  servers: RedisServer[]
  sentinels: RedisServer[]
  /** To look at and to prepare what is stored, as a user who may do everything. In a Cluster it is a `Cluster`. */
  client: Redis
  /** The master that has the key now. */
  masterOf (key: string): Promise<RedisServer>
  /** The masters as they are now. */
  masters (): Promise<RedisServer[]>
  stop (): Promise<void>
}

/** Asks until it is so. */
export async function until (check: () => Promise<boolean>): Promise<void> {
  while (!await check()) await new Promise(resolve => setTimeout(resolve, 20))
}

/** The role that a server says it has. */
export async function roleOf ({ client }: RedisServer): Promise<'master' | 'slave'> {
  return (await client.role() as [role: 'master' | 'slave'])[0]
}

/** Whether a replica follows its master. */
export async function isFollowing ({ client }: RedisServer): Promise<boolean> {
  return (await client.info('replication')).includes('master_link_status:up')
}
