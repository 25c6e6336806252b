import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { pino } from 'pino'
import t from 'tap'
import { redisOptions, type RedisConfig } from '#src/config/options'
import { checkRedis, neededCommands } from '#src/redis/checks'
import { connectRedis, type ConnectOptions } from '#src/redis/connect'
import { tempFolder } from '../support/helper.ts'
import { startCluster, type RedisCluster } from '../support/redis/cluster.ts'
import { startSentinelGroup, type SentinelGroup } from '../support/redis/sentinel-group.ts'
import { startTlsRedis } from '../support/tls-server.ts'

/** Reaching a Sentinel group and a Cluster: what the start says when it can't, and what it finds when it can. */

const silent = pino({ level: 'silent' })
const at = (url: string, more: Partial<RedisConfig> = {}): ConnectOptions => redisOptions({ REDIS_URL: url, REDIS_PREFIX: 'rt:', ...more })

let group: SentinelGroup
let cluster: RedisCluster
t.before(async () => {
  group = await startSentinelGroup(await tempFolder(t))
  t.teardown(group.stop)
  cluster = await startCluster(await tempFolder(t))
  t.teardown(cluster.stop)
})

t.test('Sentinel: the sentence says what is wrong, and no password', async t => {
  const { url, env } = group
  const wrong: Array<[settings: ConnectOptions, reason: RegExp]> = [
    [at(url.replace('/refresh', '/other'), env), /^Redis at redis\+sentinel:\/\/127\.0\.0\.1:\d+.*\/other\/0 \(REDIS_URL\) can't be used: ERR No such master with that name\.$/],
    [at(url, { REDIS_SENTINEL_PASSWORD: 'wrong-word' }), /WRONGPASS/],
    [at(url), /NOAUTH/],
    [at(url.replace('service:', 'service:x'), env), /WRONGPASS/]
  ]
  await Promise.all(wrong.map(async ([settings, reason]) => {
    const err = await connectRedis(settings, silent).catch(err => err)
    t.match(err, { name: 'StartError', message: reason })
    t.notMatch(err.message, new RegExp(`wrong-word|${group.passwords.service}`))
  }))
})

t.test('Sentinel: the sentinels may have a user with a name', async t => {
  const client = await connectRedis(at(group.url, { ...group.env, REDIS_SENTINEL_USERNAME: 'default' }), silent)
  t.equal(await client.ping(), 'PONG')
  client.disconnect()
})

t.test('Sentinel: a failover that is told of while the master is asked for does not end the client', async t => {
  const client = await connectRedis(at(group.url, group.env), silent) as Redis
  t.teardown(() => { client.disconnect() })
  // An error comes first, which `once` of node:events would throw.
  const next = async (event: string): Promise<void> => { await new Promise<void>(resolve => { client.once(event, resolve) }) }
  const connecting = next('connecting')
  client.disconnect(true)
  await connecting
  // What the failover detector does, at the worst moment.
  const { connector } = client as unknown as { connector: { disconnect (): void } }
  const back = next('ready')
  connector.disconnect()
  await back
  t.equal(await client.ping(), 'PONG')
  const ended = next('end')
  client.disconnect()
  await ended
  await delay(0)
  t.equal(client.status, 'end', 'while ours is the last word')
})

t.test('Cluster: the sentence says what is wrong', async t => {
  const { url } = cluster
  const { servers: [single] } = group
  const wrong: Array<[url: string, reason: RegExp]> = [
    [url.replace('service:', 'service:x'), /^Redis at redis\+cluster:\/\/127\.0\.0\.1:.* can't be used: WRONGPASS/],
    [`redis+cluster://service:${group.passwords.service}@127.0.0.1:${single!.port}`, /cluster support disabled/],
    ['redis+cluster://127.0.0.1:1', /ECONNREFUSED/]
  ]
  await Promise.all(wrong.map(async ([url, reason]) => {
    await t.rejects(connectRedis(at(url), silent), { name: 'StartError', message: reason })
  }))
})

t.test('a policy that throws sessions away is warned of, and a user who may not run the scripts is told what is missing', async t => {
  for (const { url, env, client: admin, servers: [server] } of [group, cluster]) {
    const client = await connectRedis(at(url, env), silent)
    t.teardown(() => { client.disconnect() })
    t.same(await checkRedis(client, { prefix: 'rt:' }, 'here'), [])
    await server!.client.config('SET', 'maxmemory-policy', 'allkeys-lru')
    t.match(await checkRedis(client, { prefix: 'rt:' }, 'here'), [{ fatal: false, text: /^maxmemory-policy of .*here is allkeys-lru: .* Set it to noeviction\.$/ }])
    const lines: string[] = []
    const other = await connectRedis(at(url, env), pino({ level: 'warn' }, { write: line => { lines.push(line) } }))
    other.disconnect()
    t.match(lines.join(), /Set it to noeviction/)
    await server!.client.config('SET', 'maxmemory-policy', 'noeviction')

    await server!.client.acl('SETUSER', 'service', '-hdel', 'resetchannels')
    await t.rejects(connectRedis(at(url, env), silent), { name: 'StartError', message: /^The user of REDIS_URL may not run HDEL, PUBLISH on rt:\* at .*users\.acl/ })
    await t.rejects(connectRedis(at(url, { ...env, REDIS_PREFIX: 'other:' }), silent), { message: /may not run EVALSHA, HMGET, HGETALL, HSET, HDEL, EXPIREAT, DEL, PUBLISH on other:/ })
    const limits = { RATE_LIMIT_PER_ADDRESS: 'off', RATE_LIMIT_PER_SESSION: '30/60' }
    await server!.client.acl('SETUSER', 'service', '+hdel', 'allchannels', '-wait', '-incr', '-pexpire', '-pttl')
    t.match(await checkRedis(client, at(url, { REDIS_WAIT_REPLICAS: 1, ...limits }).needs, 'here'), [{ fatal: true, text: /may not run WAIT, INCR, PEXPIRE, PTTL on rt:/ }])
    t.same(await checkRedis(client, at(url, { REDIS_WAIT_REPLICAS: 0, RATE_LIMIT_PER_SESSION: 'off' }).needs, 'here'), [], 'what is off needs no permission')
    await server!.client.acl('SETUSER', 'service', '-eval')
    await t.rejects(connectRedis(at(url, env), silent), { name: 'StartError', message: /NOPERM.*'?eval'?/ })
    await server!.client.acl('LOAD')
    t.ok(admin)
  }
})

t.test('what is asked permission for is what the scripts call', async t => {
  const folder = 'src/sessions/lua'
  const texts = await Promise.all((await readdir(folder)).map(async name => await readFile(join(folder, name), 'utf8')))
  const called = texts.flatMap(text => [...text.matchAll(/redis\.p?call\('(\w+)'/g)].map(([, name]) => name))
  const asked = neededCommands({ prefix: 'rt:' }).map(([name]) => name)
  t.same(new Set(asked), new Set([...called, 'EVALSHA']))
})

t.test('TLS: an authority and a client certificate of our own, by files', async t => {
  const { port, ca, client } = await startTlsRedis(t)
  const files = { REDIS_CA_FILE: ca, REDIS_CERT_FILE: client.cert, REDIS_KEY_FILE: client.key }
  for (const host of ['localhost', '127.0.0.1']) {
    const connected = await connectRedis(at(`rediss://${host}:${port}`, files), silent)
    t.equal(await connected.ping(), 'PONG')
    connected.disconnect()
  }
  await Promise.all([
    t.rejects(connectRedis(at(`rediss://localhost:${port}`, { REDIS_CA_FILE: ca }), silent), { name: 'StartError' }),
    t.rejects(connectRedis(at(`rediss://localhost:${port}`), silent), { name: 'StartError', message: /certificate/ })
  ])
})
