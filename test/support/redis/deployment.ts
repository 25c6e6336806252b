import type { Redis } from 'ioredis'
import type { Passwords } from './deploy-files.ts'
import type { RedisServer } from './server.ts'

/** A real Redis as it is deployed: on one server, in a Sentinel group, or in a Cluster; all on this machine. */
export interface Deployment {
  topology: 'single' | 'sentinel' | 'cluster'
  /** URL for the service's user. */
  url: string
  /** Further environment variables of the service. */
  env: Record<string, string>
  passwords: Passwords
  /** The servers that hold data. */
  servers: RedisServer[]
  sentinels: RedisServer[]
  /** Reads and prepares data as a user with all permissions. In a Cluster it is a `Cluster`. */
  client: Redis
  /** The current master of the key. */
  masterOf (key: string): Promise<RedisServer>
  /** The current masters. */
  masters (): Promise<RedisServer[]>
  stop (): Promise<void>
}

/** Polls until the check is true. */
export async function until (check: () => Promise<boolean>): Promise<void> {
  while (!await check()) await new Promise(resolve => setTimeout(resolve, 20))
}

/** The role that a server reports. */
export async function roleOf ({ client }: RedisServer): Promise<'master' | 'slave'> {
  return (await client.role() as [role: 'master' | 'slave'])[0]
}

/** Whether a replica follows its master. */
export async function isFollowing ({ client }: RedisServer): Promise<boolean> {
  return (await client.info('replication')).includes('master_link_status:up')
}
