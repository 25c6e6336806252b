import { join } from 'node:path'
import { makePasswords, redisConf, sentinelConf, writeUsers } from './deploy-files.ts'
import { isFollowing, roleOf, until, type Deployment } from './deployment.ts'
import { startServer, type RedisServer } from './server.ts'

/** A master, two replicas and three Sentinels, from the files of deploy/redis. */
export interface SentinelGroup extends Deployment {
  /** Resolves when the Sentinels know one another and the replicas, and so can fail over. */
  watched (): Promise<void>
}

/** `failoverAfter`: milliseconds without an answer of a server before a failover. */
export async function startSentinelGroup (folder: string, { failoverAfter = 60_000, lines = [] as string[] } = {}): Promise<SentinelGroup> {
  const passwords = makePasswords()
  const aclFile = await writeUsers(folder, passwords)
  const servers: RedisServer[] = []
  const sentinels: RedisServer[] = []
  const start = async (name: string, follows: string[]): Promise<RedisServer> => {
    const conf = await redisConf(aclFile, [
      'bind 127.0.0.1', 'masteruser replication', `masterauth ${passwords.replication}`, 'repl-diskless-sync-delay 0',
      'enable-debug-command local', ...follows, ...lines
    ])
    return await startServer({ folder: join(folder, name), username: 'admin', password: passwords.admin, config: port => `${conf}port ${port}\n` })
  }
  const master = await start('a', [])
  servers.push(master, ...await Promise.all(['b', 'c'].map(async name => await start(name, [`replicaof 127.0.0.1 ${master.port}`]))))
  const conf = (await sentinelConf(master.port, passwords))
    .replace(/(down-after-milliseconds refresh) \d+/, `$1 ${failoverAfter}`)
    .replace(/(failover-timeout refresh) \d+/, `$1 ${failoverAfter * 3}`)
  sentinels.push(...await Promise.all(['1', '2', '3'].map(async name => await startServer({
    folder: join(folder, name), password: passwords.sentinelsOwn, sentinel: true, config: port => conf.replace('port 26379', `port ${port}\nbind 127.0.0.1`)
  }))))
  for (const replica of servers.slice(1)) await until(async () => await isFollowing(replica))

  const masters = async (): Promise<RedisServer[]> => {
    const roles = await Promise.all(servers.map(roleOf))
    return servers.filter((_, i) => roles[i] === 'master')
  }
  return {
    topology: 'sentinel',
    url: `redis+sentinel://service:${passwords.service}@${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/refresh`,
    env: { REDIS_SENTINEL_PASSWORD: passwords.sentinelsOwn },
    passwords,
    servers,
    sentinels,
    client: master.client,
    masters,
    masterOf: async () => (await masters())[0]!,
    watched: async () => {
      for (const { client } of sentinels) {
        await until(async () => {
          const [facts] = await client.call('SENTINEL', 'MASTERS') as string[][]
          const fact = (name: string): string => facts![facts!.indexOf(name) + 1]!
          return fact('num-slaves') === '2' && fact('num-other-sentinels') === '2'
        })
      }
    },
    stop: async () => { await Promise.all([...sentinels, ...servers].map(async server => await server.stop())) }
  }
}
