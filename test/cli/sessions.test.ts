import t from 'tap'
import { guest, spawnService, startRedis, tempFolder, type PrivateRedis } from '../support/helper.ts'
import { freePort } from '../support/ports.ts'
import { cli, run, storeOn } from './helper.ts'

/** `sessions` and `revoke` on a real Redis with sessions of the store. */

const prefix = 'cli:'
let redis: PrivateRedis
let env: Record<string, string>
t.before(async () => {
  redis = await startRedis(t)
  env = { REDIS_URL: redis.url, REDIS_PREFIX: prefix }
})

t.test('sessions prints the user, and each session with its label, generation and times', async t => {
  const store = storeOn(redis.client, prefix)
  const { generation } = await store.open({ ...guest, label: 'Pixel 9' })
  await store.open({ ...guest, deviceId: 'laptop' })
  await store.rotate(generation, guest.deviceId)

  const { json } = await run(['sessions', '1'], env)
  t.match(json, { userId: 1, email: guest.email, role: guest.role })
  t.equal(json.sessions.length, 2)
  const [row] = json.sessions.filter(({ sid }: { sid: string }) => sid === generation.sid)
  t.same(Object.keys(row), ['sid', 'label', 'generation', 'createdAt', 'lastUsedAt', 'expiresAt'])
  t.match(row, { label: 'Pixel 9', generation: 2, createdAt: new Date(generation.iat * 1000).toISOString() })

  const { code, stdout, stderr } = await cli(t, ['sessions', '1'], env)
  t.same([code, stderr], [0, ''])
  t.match(stdout, /^User 1: guest@keygenqt\.com, GUEST, 2 sessions\n\nSID {21}GENERATION {2}CREATED .*LABEL\n/)
  t.match(stdout, new RegExp(`^${generation.sid} {2}2 {11}\\d{4}-\\d\\d-\\d\\dT[\\d:]+Z .* Pixel 9$`, 'm'))
})

t.test('a user without sessions has an empty list', async t => {
  const { text, json } = await run(['sessions', '2'], env)
  t.equal(text, 'User 2 has no session.\n')
  t.same(json, { userId: 2, email: null, role: null, sessions: [] })
})

t.test('an unknown e-mail address or role is empty', async t => {
  const { userId, deviceId, role } = { ...guest, userId: 5 }
  await storeOn(redis.client, prefix).open({ userId, deviceId, role })
  const { text, json } = await run(['sessions', '5'], env)
  t.match(text, /^User 5: GUEST, 1 session\n/)
  t.match(json, { email: /^$/, role })
})

t.test('a user id may be a text', async t => {
  const { generation: { sid } } = await storeOn(redis.client, prefix).open({ ...guest, userId: 'user_01' })
  t.match((await run(['sessions', 'user_01'], env)).json, { userId: 'user_01', sessions: [{ sid }] })
  const { json, text } = await run(['revoke', 'user_01', sid], env)
  t.same([json, text], [{ userId: 'user_01', revoked: [sid] }, `Ended 1 session of user user_01:\n  ${sid}\n`])
})

t.test('labels and e-mail addresses can\'t send control characters to the terminal', async t => {
  await storeOn(redis.client, prefix).open({ ...guest, userId: 3, label: '\u001b]0;root\u0007\u202eevil', email: 'a\u009b2J@b' })
  const { text } = await run(['sessions', '3'], env)
  t.notMatch(text.replaceAll('\n', ''), /\p{C}/u)
  const { stdout, json } = await cli(t, ['sessions', '3', '--json'], env)
  t.notMatch(stdout.trim(), /\p{C}/u)
  t.equal(json.sessions[0].label, '\u001b]0;root\u0007\u202eevil', 'JSON keeps them, escaped')
})

t.test('revoke ends one session or all, prints their ids, and publishes events', async t => {
  const store = storeOn(redis.client, prefix)
  const sids = []
  for (const deviceId of ['a', 'b', 'c']) sids.push((await store.open({ ...guest, userId: 4, deviceId })).generation.sid)
  const subscriber = redis.client.duplicate()
  t.teardown(() => { subscriber.disconnect() })
  const heard: Array<{ sid: string, reason: string }> = []
  subscriber.on('message', (_channel, message) => heard.push(JSON.parse(message)))
  await subscriber.subscribe(`${prefix}events`)

  t.equal((await run(['revoke', '4', sids[0]!], env)).text, `Ended 1 session of user 4:\n  ${sids[0]}\n`)
  t.equal((await run(['revoke', '4', sids[0]!], env)).text, `User 4 had no session ${sids[0]}: nothing to end.\n`)
  t.equal((await store.list(4)).length, 2)
  const { json, text } = await run(['revoke', '4'], env)
  t.same([json.userId, new Set(json.revoked)], [4, new Set(sids.slice(1))])
  t.match(text, /^Ended 2 sessions of user 4:\n( {2}[\w-]{22}\n){2}$/)
  const again = await run(['revoke', '4'], env)
  t.same([again.json, again.text], [{ userId: 4, revoked: [] }, 'User 4 had no session: nothing to end.\n'])
  t.same(await store.list(4), [])
  await subscriber.ping()
  t.same(new Set(heard.map(({ sid }) => sid)), new Set(sids))
  t.same(new Set(heard.map(({ reason }) => reason)), new Set(['logout']))
})

t.test('revoke appends to the event stream when EVENTS_STREAM is on', async t => {
  const { generation: { sid } } = await storeOn(redis.client, prefix).open({ ...guest, userId: 8 })
  await run(['revoke', '8'], { ...env, EVENTS_STREAM: 'on' })
  const [[, fields]] = await redis.client.xrange(`${prefix}meta:events`, '-', '+') as [[string, string[]]]
  t.match(fields.join(' '), new RegExp(`^type ended reason logout id 8 sid ${sid} caller `))
})

t.test('revoke waits for replicas when REDIS_WAIT_REPLICAS is set', async t => {
  await t.rejects(run(['revoke', '4'], { ...env, REDIS_WAIT_REPLICAS: '1' }), { message: /0 of 1 replicas/ })
})

t.test('reads only the variables of the connection to Redis', async t => {
  const production = { ...env, NODE_ENV: 'production', PORT: 'none', ACCESS_TOKEN_SECRETS: 'short' }
  t.equal((await run(['sessions', '2'], production)).text, 'User 2 has no session.\n')
  await t.rejects(run(['sessions', '2'], { ...env, REDIS_PREFIX: '*' }), { name: 'StartError', message: /^REDIS_PREFIX must be / })
  t.match(await cli(t, ['sessions', '2', '--json'], { NODE_ENV: 'production' }), {
    code: 1, stdout: '', stderr: /^\{"error":"REDIS_URL is required when NODE_ENV is production\. It must be redis:/
  })
})

t.test('an unusable Redis is reported without its password', async t => {
  const port = await freePort()
  const guarded = await startRedis(t, ['--port', String(port)])
  await guarded.client.config('SET', 'requirepass', 'right')
  const { code, stderr } = await cli(t, ['revoke', '1'], { REDIS_URL: `redis://:sesame@127.0.0.1:${port}` })
  t.equal(code, 1)
  t.match(stderr, /^Redis at redis:\/\/127\.0\.0\.1:\d+\/0 \(REDIS_URL\) can't be used: WRONGPASS/)
  t.notMatch(stderr, 'sesame')
})

t.test('without REDIS_URL it uses the embedded Redis of a running service', async t => {
  const DATA_DIR = await tempFolder(t)
  await t.rejects(run(['sessions', '1'], { DATA_DIR }), { name: 'StartError', message: /^REDIS_URL is not set, and no embedded Redis answers under DATA_DIR / })
  const { line, child, exited } = spawnService(t, { DATA_DIR })
  await line('refresh-token-service is ready')
  t.equal((await run(['sessions', '1'], { DATA_DIR })).text, 'User 1 has no session.\n')
  child.kill('SIGTERM')
  await exited
})
