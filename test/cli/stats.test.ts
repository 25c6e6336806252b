import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server } from 'node:net'
import t, { type Test } from 'tap'
import { addRecords, createTotals, toStats } from '#src/cli/stats/totals'
import { guest, startRedis, type PrivateRedis } from '../support/helper.ts'
import type { SessionStore } from '#src/sessions/store'
import { run, spawnCli, storeOn } from './helper.ts'

/** `stats` on real servers with records of the store. */

interface Setup extends PrivateRedis {
  env: { REDIS_URL: string, REDIS_PREFIX: string }
  store: SessionStore
  /** Writes the record of a session for each of the users from 1 on, without the store, whose calls would time out on a busy machine. */
  fill: (users: number) => Promise<void>
}

async function setUp (t: Test, settings: string[] = []): Promise<Setup> {
  const redis = await startRedis(t, settings)
  const env = { REDIS_URL: redis.url, REDIS_PREFIX: 'st:' }
  const store = storeOn(redis.client, env.REDIS_PREFIX)
  const fill = async (users: number): Promise<void> => {
    const record = { email: guest.email, role: guest.role, 's:a': '1:1:1:9999999999:d' }
    const pipeline = redis.client.pipeline()
    for (let i = 1; i <= users; i++) pipeline.hset(`${env.REDIS_PREFIX}${i}`, record)
    await pipeline.exec()
  }
  return { ...redis, env, store, fill }
}

t.test('an empty Redis has zero users and sessions', async t => {
  const { env } = await setUp(t)
  const { json, text } = await run(['stats'], env)
  t.same(json, {
    complete: true,
    users: 0,
    sessions: 0,
    expiredSessions: 0,
    memory: { bytes: 0, perUser: null, perSession: null },
    encodings: { listpack: 0, hashtable: 0 },
    sessionsPerUser: { mean: null, max: 0, distribution: [] }
  })
  t.match(text, /^Users {6}0\nSessions {3}0, .*\nMemory {5}0 B\n/)
})

t.test('counts users, sessions, memory and encodings; ignores other keys and counts expired sessions apart', async t => {
  const { client, env, store } = await setUp(t, ['--hash-max-listpack-value', '64'])
  for (let userId = 1; userId <= 600; userId++) await store.open({ ...guest, userId }) // more than a batch
  for (const deviceId of ['b', 'c', 'd']) await store.open({ ...guest, userId: 1, deviceId })
  const { generation } = await store.open({ ...guest, userId: 2, deviceId: 'old' })
  await client.hset('st:2', `s:${generation.sid}`, `1:1:1:${generation.iat}:old`, 's:damaged', 'nonsense')
  await store.open({ ...guest, userId: 3, email: `${'long'.repeat(20)}@example.com` })
  await client.mset('st:events', 'x', 'st:12a', 'x', 'other:1', 'x', 'st:700', 'no hash')
  await store.revokeAll(800) // leaves a record without a session
  await store.updateProfile(801, { role: 'ADMIN' })
  await store.open({ ...guest, userId: 'user_01' })
  for (const key of ['other:2', 'st:-a', 'st:01', 'st:meta:issuer', 'st:meta:keys', 'st:limit:session:7', 'st:1:5']) await client.hset(key, 's:a', '1:1:1:9999999999:b')

  const { json, text } = await run(['stats'], env)
  const bytes = await Promise.all(Array.from({ length: 600 }, async (_, i) => (await client.memory('USAGE', `st:${i + 1}`))!))
  const sum = bytes.reduce((sum, bytes) => sum + bytes, (await client.memory('USAGE', 'st:user_01'))!)
  t.same(json, {
    complete: true,
    users: 601,
    sessions: 604,
    expiredSessions: 2,
    memory: { bytes: sum, perUser: Math.round(sum / 6.01) / 100, perSession: Math.round(sum / 6.04) / 100 },
    encodings: { listpack: 600, hashtable: 1 },
    sessionsPerUser: { mean: 1, max: 4, distribution: [{ from: 1, to: 1, users: 600 }, { from: 4, to: 5, users: 1 }] }
  })
  t.match(text, /^Sessions {3}604, and 2 expired/m)
  t.match(text, /^Encodings {2}listpack 600, hashtable 1\n {11}A hashtable takes/m)
  t.match(text, /^ {7}1 {2}#{40} {2}600 users\n {5}4-5 {2}# {39} {2}1 user$/m)
})

t.test('an encoding of a newer Redis is counted under its name', t => {
  const totals = createTotals()
  addRecords(totals, [{ bytes: 1, encoding: 'newer', live: 1, expired: 0 }, { bytes: 1, encoding: 'newer', live: 1, expired: 0 }])
  t.same(toStats(totals, true).encodings, { listpack: 0, hashtable: 0, newer: 2 })
  t.end()
})

t.test('a user with more than 100 sessions is in the last, open range', async t => {
  const { client, env } = await setUp(t)
  await client.hset('st:1', Object.fromEntries(Array.from({ length: 150 }, (_, i) => [`s:${i}`, '1:1:1:9999999999:d'])))
  const { json, text } = await run(['stats'], env)
  t.same(json.sessionsPerUser.distribution, [{ from: 101, to: null, users: 1 }])
  t.match(text, / 101\+ {2}#/)
})

t.test('reports a command that the Redis user may not run', async t => {
  const { client, env } = await setUp(t)
  await client.hset('st:1', 's:a', '1:1:1:9999999999:d')
  await client.acl('SETUSER', 'default', '-memory')
  await t.rejects(run(['stats'], env), { message: /^NOPERM .*'memory\|usage'/ })
})

/** Starts a proxy to a unix socket that calls `pass` with each write of a client. */
async function wire (t: Test, path: string, pass: (data: Buffer) => void): Promise<string> {
  const proxy: Server = createServer(client => {
    const server = connect(path)
    client.on('data', data => {
      pass(data)
      server.write(data)
    })
    server.on('data', data => client.write(data))
    for (const [socket, other] of [[client, server], [server, client]] as const) {
      socket.on('error', () => {}).on('close', () => other.destroy())
    }
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => { proxy.close() })
  return `redis://127.0.0.1:${(proxy.address() as AddressInfo).port}`
}

t.test('Ctrl-C shows what was counted so far', async t => {
  const { url, env, fill } = await setUp(t)
  await fill(5000)
  let scans = 0
  // Interrupts in the middle of the scan, before the reply to the second SCAN.
  const REDIS_URL = await wire(t, new URL(url).pathname, data => {
    if (data.toString('latin1').toLowerCase().includes('\r\nscan\r\n') && ++scans === 2) cli.child.kill('SIGINT')
  })
  const cli = spawnCli(t, ['stats', '--json'], { ...env, REDIS_URL })
  const { code, json, stderr } = await cli.ended
  t.same([code, stderr], [130, ''])
  t.equal(json.complete, false)
  t.ok(json.users > 0 && json.users < 5000, `${json.users} users counted`)
})

t.test('the text of an interrupted count says so', async t => {
  const { env, fill } = await setUp(t)
  await fill(300)
  const interruption = new AbortController()
  interruption.abort()
  const { text } = await run(['stats'], env, { holdInterruption: () => interruption.signal })
  t.match(text, /^Interrupted: this is what was counted so far\.\nUsers {6}\d/)
})
