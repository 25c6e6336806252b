import { join } from 'node:path'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { tempFolder } from '../support/helper.ts'
import { makePasswords, redisConf, writeUsers, type Passwords } from '../support/redis/deploy-files.ts'
import { startServer, type RedisServer } from '../support/redis/server.ts'

/** Commands that each user of deploy/redis/users.acl can't run, on a real Redis with that file. Other tests run the allowed commands. */

const users = ['service', 'reader', 'ops', 'replication', 'sentinel'] as const

type User = typeof users[number]

/** A command, and the users who may run it. */
type Row = [command: string[], ...may: User[]]

const script = (...words: string[]): string[] => ['EVAL', `return redis.call(${words.map(word => `'${word}'`).join(', ')})`, '0']

const commands: Row[] = [
  // The passwords of replicas and users.
  [['CONFIG', 'GET', 'masterauth']], [['CONFIG', 'GET', '*']], [['CONFIG', 'SET', 'save', '']], [['CONFIG', 'RESETSTAT']],
  [['CONFIG', 'REWRITE'], 'sentinel'],
  [['ACL', 'LIST']], [['ACL', 'GETUSER', 'default']], [['ACL', 'SETUSER', 'intruder', 'on', 'nopass', '+@all']], [['ACL', 'LOAD']],
  [['ACL', 'WHOAMI'], 'ops'],
  // Reading all data at once.
  [['PSYNC', '?', '-1'], 'replication'], [['SYNC']], [['MONITOR']], [['KEYS', '*']], [['RANDOMKEY']],
  [['SCAN', '0'], 'ops'], [['DBSIZE'], 'ops'], [['CLIENT', 'LIST']], [['SLOWLOG', 'GET'], 'ops'], [['SLOWLOG', 'RESET']],
  // Other programs' keys.
  [['GET', 'orders:7']], [['HGETALL', 'orders:7']], [['HGET', 'orders:7', 'total']], [['HSET', 'orders:7', 'total', '0']], [['DEL', 'orders:7']],
  [['INCR', 'orders:7']], [['OBJECT', 'ENCODING', 'orders:7']], [['MEMORY', 'USAGE', 'orders:7']], [['TTL', 'orders:7']], [['EXPIREAT', 'orders:7', '1']],
  [['HGETALL', 'rt']], [['HGETALL', 'r']],
  // Our own keys, with commands that no user needs.
  [['GET', 'rt:1']], [['SET', 'rt:1', '']], [['RENAME', 'rt:1', 'rt:2']], [['COPY', 'rt:1', 'rt:2']], [['DUMP', 'rt:1']], [['RESTORE', 'rt:2', '0', '']],
  [['MIGRATE', '127.0.0.1', '1', 'rt:1', '0', '1']], [['MOVE', 'rt:1', '1']], [['SORT', 'rt:1']], [['PERSIST', 'rt:1']],
  [['HGET', 'rt:1', 'role'], 'reader', 'ops'], [['HGETALL', 'rt:1'], 'service', 'ops'], [['HSET', 'rt:1', 'role', 'ADMIN'], 'service', 'ops'],
  [['HDEL', 'rt:1', 'role'], 'service', 'ops'], [['DEL', 'rt:1'], 'service', 'ops'], [['INCR', 'rt:limit:session:a'], 'service'],
  [['XADD', 'rt:meta:events', '*', 'type', ''], 'service', 'ops'], [['XADD', 'orders', '*', 'type', '']], [['XREAD', 'STREAMS', 'rt:meta:events', '0']],
  // Channels.
  [['PUBLISH', 'orders', ''], 'sentinel'], [['PUBLISH', 'rt:events', ''], 'service', 'ops', 'sentinel'],
  [['SUBSCRIBE', 'orders'], 'sentinel'], [['SUBSCRIBE', 'rt:events'], 'service', 'reader', 'sentinel'], [['PSUBSCRIBE', '*']], [['PUBSUB', 'CHANNELS']],
  [['SSUBSCRIBE', 'orders']], [['SPUBLISH', 'orders', '']],
  // Destructive commands.
  [['FLUSHALL']], [['FLUSHDB']], [['SWAPDB', '0', '1']], [['SHUTDOWN']], [['DEBUG', 'SLEEP', '0']], [['DEBUG', 'OBJECT', 'rt:1']],
  [['SAVE']], [['BGSAVE']], [['BGREWRITEAOF']], [['LASTSAVE']],
  [['REPLICAOF', 'NO', 'ONE'], 'sentinel'], [['SLAVEOF', 'NO', 'ONE'], 'sentinel'], [['FAILOVER']],
  [['CLUSTER', 'RESET']], [['CLUSTER', 'FAILOVER']], [['CLUSTER', 'MEET', '127.0.0.1', '1']],
  [['CLIENT', 'KILL', 'TYPE', 'pubsub'], 'sentinel'], [['CLIENT', 'PAUSE', '1']], [['CLIENT', 'NO-EVICT', 'on']], [['LATENCY', 'RESET']],
  [['SCRIPT', 'KILL'], 'sentinel'], [['SCRIPT', 'FLUSH']], [['SCRIPT', 'LOAD', 'return 1']], [['FUNCTION', 'LIST']], [['FUNCTION', 'FLUSH']],
  [['FCALL', 'f', '0']], [['MODULE', 'LIST']], [['INFO'], 'service', 'ops', 'sentinel'],
  // A script may do no more than its user.
  [script('CONFIG', 'GET', 'masterauth')], [script('HGETALL', 'orders:7')], [script('HSET', 'orders:7', 'total', '0')], [script('KEYS', '*')],
  [script('PUBLISH', 'orders', '')], [script('FLUSHALL')], [script('GET', 'rt:1')], [script('ACL', 'LIST')]
]

/** Redis's refusals of a user's command, and of a command in a user's script. */
const REFUSED = /^NOPERM|^ERR (The user executing the script can't|This Redis command is not allowed from script)/

let server: RedisServer
let passwords: Passwords
t.before(async () => {
  const folder = await tempFolder(t)
  passwords = makePasswords()
  const conf = await redisConf(await writeUsers(folder, passwords, '&rt:events'), [
    'bind 127.0.0.1', 'enable-debug-command local', 'masteruser replication', `masterauth ${passwords.replication}`
  ])
  server = await startServer({ folder: join(folder, 'redis'), username: 'admin', password: passwords.admin, config: port => `${conf}port ${port}\n` })
  t.teardown(server.stop)
  await server.client.hset('rt:1', { email: 'guest@keygenqt.com', role: 'GUEST' })
  await server.client.hset('orders:7', 'total', '12')
})

/** A connection that sends no commands of its own. */
function connect (t: Test, login = {}): Redis {
  const client = new Redis({ port: server.port, ...login, enableReadyCheck: false, disableClientInfo: true, retryStrategy: null })
  client.on('error', () => {})
  t.teardown(() => { client.disconnect() })
  return client
}

for (const user of users) {
  t.test(`${user} can't run commands that it has no permission for`, async t => {
    const client = connect(t, { username: user, password: passwords[user] })
    const answer = async ([name, ...words]: string[]): Promise<string> =>
      await client.call(name!, ...words).then(() => 'done', ({ message }: Error) => message)
    const done = []
    for (const [command, ...may] of commands) {
      if (may.includes(user)) continue
      const said = await answer(command)
      if (!REFUSED.test(said)) done.push(`${command.join(' ')}: ${said}`)
    }
    t.same(done, [])
    t.same(await server.client.hgetall('orders:7'), { total: '12' })
  })
}

t.test('each user may run the commands listed for it', async t => {
  for (const [command, ...may] of commands) {
    for (const user of may) t.equal(await server.client.call('ACL', 'DRYRUN', user, ...command), 'OK', `${user}: ${command.join(' ')}`)
  }
})

t.test('rejects commands of the user default', async t => {
  for (const [name, ...words] of [['HGETALL', 'rt:1'], ['CONFIG', 'GET', 'masterauth'], ['PSYNC', '?', '-1']]) {
    await t.rejects(connect(t).call(name!, ...words), { message: /^NOAUTH/ })
  }
  await t.rejects(connect(t, { username: 'default', password: 'guess' }).hgetall('rt:1'), { message: /^(NOAUTH|WRONGPASS)/ })
})
