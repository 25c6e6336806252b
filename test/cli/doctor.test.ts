import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { loadConfig } from '#src/config/environment'
import { planEmbeddedRedis, startEmbeddedRedis } from '#src/embedded/embedded'
import { callerChecks, connectionChecks, lifetimeChecks, secretChecks } from '#src/cli/doctor/configuration'
import { replicationChecks } from '#src/cli/doctor/replicas'
import { readFacts, serverChecks, type Facts } from '#src/cli/doctor/server'
import { clockChecks, latencyCheck } from '#src/cli/doctor/timing'
import { parseKeys } from '#src/tokens/keys'
import { build, secret, startRedis, tempFolder, type PrivateRedis } from '../support/helper.ts'
import { startCluster } from '../support/redis/cluster.ts'
import { startSentinelGroup } from '../support/redis/sentinel-group.ts'
import { freePort } from '../support/ports.ts'
import { cli, productionSecrets, run } from './helper.ts'

/** Checks on real servers, and on made-up figures for states that no test can bring about. */

interface Line { name: string, status: string, message: string, server?: string, change?: string }

const named = (checks: Line[], name: string): Line[] => checks.filter(check => check.name === name)

/** Without the latency, which depends on the machine. */
const isFine = (checks: Line[]): boolean => checks.every(({ status, name }) => status !== 'fail' || name === 'latency')

/** The checks that are not ok, as "status name", without the latency. */
const findings = (checks: Line[]): string[] =>
  checks.filter(({ status, name }) => status !== 'ok' && name !== 'latency').map(({ status, name }) => `${status} ${name}`)

/** Starts a server on a free TCP port. */
async function startOnPort (t: Test, settings: string[] = []): Promise<PrivateRedis & { port: number }> {
  const port = await freePort()
  return { ...await startRedis(t, ['--port', String(port), ...settings]), port }
}

t.test('finds no failure in a Sentinel group from deploy/redis, as its user ops', async t => {
  const { url, env: sentinelEnv, passwords, servers, stop } = await startSentinelGroup(await tempFolder(t), {
    lines: ['maxmemory 100mb', 'min-replicas-to-write 1']
  })
  t.teardown(stop)
  const secrets = productionSecrets()
  const env = { ...secrets, ...sentinelEnv, REDIS_URL: url.replace(`service:${passwords.service}`, `ops:${passwords.ops}`) }
  const { code, stdout, stderr } = await cli(t, ['doctor', '--json'], env)
  const { ok, checks } = JSON.parse(stdout)
  t.equal(code, ok ? 0 : 1)
  t.same([findings(checks), isFine(checks), stderr], [['warn connection', 'unknown listpack'], true, ''], 'the group has no TLS, and its users may not run CONFIG GET')
  t.match(named(checks, 'persistence'), [{ message: /^append-only file, appendfsync unknown;/ }])
  t.match(named(checks, 'min-replicas'), [{ message: '2 good replicas, an unknown number needed' }])
  t.same([...new Set(checks.map(({ name }: Line) => name))], [
    'configuration', 'secrets', 'callers', 'connection', 'lifetimes', 'redis', 'version', 'role', 'policy', 'persistence', 'memory', 'evictions',
    'listpack', 'replicas', 'min-replicas', 'permissions', 'latency', 'clock', 'issuer', 'keys'
  ])
  t.equal(named(checks, 'replicas').length, 2)
  t.equal(named(checks, 'clock').length, 2)
  for (const { client } of servers) t.match(await client.info('commandstats'), 'cmdstat_time:', 'each server was asked for its clock')
  for (const value of [...Object.values(passwords), ...Object.values(secrets).slice(1)]) t.notOk(stdout.includes(value))
  for (const argv of [['stats'], ['sessions', '1'], ['revoke', '1']]) await t.resolves(run(argv, env), argv[0]!)
})

t.test('warns of the defaults of a new server', async t => {
  const port = await freePort()
  const REDIS_URL = `redis://127.0.0.1:${port}`
  const { client } = await startRedis(t, ['--port', String(port), '--appendfsync', 'everysec', '--maxmemory-policy', 'allkeys-lru', '--hash-max-listpack-value', '64'])
  const { json: { ok, checks }, text, failed } = await run(['doctor'], { ...productionSecrets(), REDIS_URL })
  t.same([ok, failed], [false, true])
  t.same(findings(checks), ['warn connection', 'fail policy', 'warn memory', 'warn listpack', 'warn replicas', 'warn permissions'])
  t.match(text, /^fail {2}policy {9}maxmemory-policy is allkeys-lru: .*\n {21}→ set maxmemory-policy noeviction$/m)
  t.match(text, /\n\d+ ok, \d to look at, \d failed\.\n$/)
  t.match(named(checks, 'permissions')[1]!.message, /FLUSHALL, CONFIG GET, CONFIG SET, ACL SETUSER, SHUTDOWN, KEYS, GET$/)
  const other = await run(['doctor'], { ...productionSecrets(), REDIS_URL, REDIS_PREFIX: 'x:' })
  t.match(named(other.json.checks, 'permissions')[1]!.message, /GET$/, 'keys of any prefix')

  await client.config('SET', 'maxmemory-policy', 'noeviction')
  t.match(await cli(t, ['doctor'], { REDIS_URL }), { stderr: '', stdout: /^ok {4}configuration {2}every variable is right; NODE_ENV is development:/ })
  await client.acl('SETUSER', 'default', '-config', '-scan', '-memory', '-expiretime')
  const { json } = await run(['doctor'], { REDIS_URL })
  t.match(named(json.checks, 'listpack')[0], { status: 'unknown', message: 'the limits are unknown: CONFIG GET is not permitted' })
  t.match(named(json.checks, 'permissions'), [{ status: 'warn', message: /but not SCAN, MEMORY USAGE, EXPIRETIME$/ }])
})

t.test('does not warn of replicas and TLS for the embedded Redis', async t => {
  const DATA_DIR = await tempFolder(t)
  const { stop } = await startEmbeddedRedis(await planEmbeddedRedis(DATA_DIR), pino({ level: 'silent' }))
  t.teardown(stop)
  const { json: { checks } } = await run(['doctor'], { DATA_DIR })
  t.same([isFine(checks), findings(checks)], [true, []])
  t.match(named(checks, 'replicas'), [{ message: 'none, as for every embedded Redis' }])
})

t.test('reports a replica in place of its master, and a replica that can\'t be reached', async t => {
  const master = await startOnPort(t, ['--repl-diskless-sync-delay', '0'])
  const replica = await startRedis(t, ['--replicaof', `127.0.0.1 ${master.port}`, '--replica-announce-port', String(await freePort())])
  await master.client.wait(1, 0)
  const { json } = await run(['doctor'], { REDIS_URL: replica.url })
  t.match(named(json.checks, 'role'), [{ status: 'fail', message: 'a replica: it takes no writes' }])
  t.equal(json.ok, false)

  const { json: { checks } } = await run(['doctor'], { REDIS_URL: master.url })
  t.match(named(checks, 'clock'), [{ status: 'ok' }, { status: 'warn', message: /^127\.0\.0\.1:\d+ can't be reached from here$/ }])
  t.match(named(checks, 'replicas'), [{ status: 'ok', message: /^127\.0\.0\.1:\d+ is online, last heard \d s ago, \d+ B behind$/ }])
  t.match(named(checks, 'min-replicas'), [{ status: 'ok', message: /^off/ }])
})

t.test('checks every master of a Cluster and names an unreachable one', async t => {
  const { url, passwords, masters, client, masterOf, stop } = await startCluster(await tempFolder(t))
  t.teardown(stop)
  const env = { REDIS_URL: url.replace(`service:${passwords.service}`, `ops:${passwords.ops}`), REDIS_PREFIX: 'rt:' }
  const names = (await masters()).map(({ port }) => `127.0.0.1:${port}`)
  for (let id = 1; id <= 40; id++) await client.hset(`rt:${id}`, { email: 'a@b', role: 'GUEST', 's:a': '1:1:1:9999999999:d' })
  t.match((await run(['stats'], env)).json, { complete: true, users: 40, sessions: 40 })
  t.match((await run(['sessions', '1'], env)).json.sessions, [{ sid: 'a' }])
  const { json: { checks } } = await run(['doctor'], env)
  t.same(named(checks, 'policy').map(({ server }) => server).sort(), names.sort())

  const lost = await masterOf('rt:meta:issuer')
  await lost.kill()
  await t.rejects(run(['stats'], env), { message: `Redis could not be used: 127.0.0.1:${lost.port} can't be reached, so the sums would be wrong` })
  await t.rejects(run(['export'], env), { message: `Redis could not be used: 127.0.0.1:${lost.port} can't be reached, so sessions would be missing` })
  const { json } = await run(['doctor'], { ...productionSecrets(), ...env })
  t.match(named(json.checks, 'redis'), [{ status: 'ok' }, { status: 'fail', message: new RegExp(`^127.0.0.1:${lost.port} can't be reached`) }])
  t.match(named(json.checks, 'issuer'), [{ status: 'unknown', message: /^whether this is the environment of the running replicas: / }])
})

t.test('reports every invalid variable without its value', async t => {
  const env = { NODE_ENV: 'production', PORT: 'sesame', REDIS_URL: 'sesame' }
  const { json: { ok, checks }, text } = await run(['doctor'], env)
  t.equal(ok, false)
  t.same(checks.map(({ status, name, change }: Line) => `${status} ${name}: ${change!.split(' ')[1]}`), [
    'PORT', 'REDIS_URL', 'ACCESS_TOKEN_SECRETS', 'REFRESH_TOKEN_SECRETS', 'INTERNAL_API_KEY'
  ].map(name => `fail configuration: ${name}`))
  t.notMatch(text, 'sesame')
})

t.test('reports a refused log-in to Redis as a failed check', async t => {
  const { port, client } = await startOnPort(t)
  await client.config('SET', 'requirepass', 'right')
  const { json: { checks }, text } = await run(['doctor'], { REDIS_URL: `redis://:sesame@127.0.0.1:${port}` })
  t.match(named(checks, 'redis'), [{ status: 'fail', message: /WRONGPASS/ }])
  t.notMatch(text, 'sesame')
})

t.test('tells whether the environment matches the running replicas', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis, { REDIS_PREFIX: 'rt:', JWT_ISSUER: 'one' })
  const { ACCESS_TOKEN_SECRETS, REFRESH_TOKEN_SECRETS } = service.config
  const env = { ...productionSecrets(), REDIS_URL: redis.url, JWT_ISSUER: 'one', ACCESS_TOKEN_SECRETS, REFRESH_TOKEN_SECRETS }
  const doctor = async (overrides: Record<string, string>): Promise<Line[]> => {
    const { json: { checks } } = await run(['doctor'], { ...env, ...overrides })
    return checks.filter(({ name }: Line) => name === 'issuer' || name === 'keys')
  }
  t.match(await doctor({}), [
    { status: 'ok', message: 'rt: belongs to one' }, { status: 'ok', message: 'this environment has every key that running replicas sign with: 2 keys' }
  ])
  const [refreshKey] = parseKeys(REFRESH_TOKEN_SECRETS)
  t.match(await doctor({ JWT_ISSUER: 'two', REFRESH_TOKEN_SECRETS: secret() }), [
    { status: 'fail', message: 'rt: belongs to one, and JWT_ISSUER is two: the start would be refused', change: /DEL rt:meta:issuer$/ },
    { status: 'fail', message: `running replicas of the service sign with refresh:${refreshKey.kid}, which this environment lacks: a replica that starts with it would refuse these tokens` }
  ])
  t.match(await doctor({ REDIS_PREFIX: 'rt:new:' }), [{ status: 'ok', message: 'no issuer has taken rt:new: yet' }, { status: 'ok', message: /0 keys$/ }])
  const DATA_DIR = await tempFolder(t)
  t.same(await doctor({ NODE_ENV: '', ACCESS_TOKEN_SECRETS: '', DATA_DIR }), [], 'a development machine has no secrets before its first start')
  await redis.client.hset('rt:meta:keys', 'refresh:old', '1')
  t.match((await doctor({}))[1], { status: 'ok' }, 'a key that no replica has signed with for minutes')
})

t.test('checks secrets for randomness, shared use and development values', async t => {
  const given = { NODE_ENV: 'production', ACCESS_TOKEN_SECRETS: secret(), REFRESH_TOKEN_SECRETS: secret(), INTERNAL_API_KEY: secret() }
  const check = (overrides: object, made = {}): Line[] => secretChecks({ ...loadConfig({}), ...given, ...overrides }, made)
  t.match(check({}), [{ status: 'ok' }])
  t.match(check({ INTERNAL_API_KEY: 'abcdefgh'.repeat(8) }), [{ status: 'warn', message: 'INTERNAL_API_KEY holds a text that does not look random' }])
  t.match(check({ ACCESS_TOKEN_SECRETS: `${secret()},change-me${secret()}` }), [{ status: 'warn', message: /^ACCESS_TOKEN_SECRETS/ }])
  const { json: shared } = await run(['doctor'], { ...given, INTERNAL_API_KEY: given.ACCESS_TOKEN_SECRETS })
  t.match(named(shared.checks, 'configuration')[0], { status: 'fail', message: /^INTERNAL_API_KEY must be no secret of tokens: .* could forge them/ })
  t.match(check({}, { REFRESH_TOKEN_SECRETS: given.REFRESH_TOKEN_SECRETS }), [{ status: 'fail', message: /^REFRESH_TOKEN_SECRETS holds what npm start made/ }])
  t.same(secretChecks(loadConfig({}), {}), [], 'a development machine has no secrets before its first start')
  const key = secret()
  t.match(check({ INTERNAL_API_KEYS: `a:open:${secret()},b:open:${key}` }, { INTERNAL_API_KEY: key }), [{ status: 'fail', message: /^INTERNAL_API_KEYS holds what npm start made/ }])
  t.match(check({ INTERNAL_API_KEYS: `a:open:${'abcdefgh'.repeat(8)}` }), [{ status: 'warn', message: 'INTERNAL_API_KEYS holds a text that does not look random' }])

  const DATA_DIR = await tempFolder(t)
  await mkdir(DATA_DIR, { recursive: true })
  await writeFile(join(DATA_DIR, 'secrets.env'), `INTERNAL_API_KEY=${given.INTERNAL_API_KEY}\n`, { mode: 0o600 })
  const { url } = await startRedis(t)
  const { json: { checks } } = await run(['doctor'], { ...given, REDIS_URL: url, DATA_DIR })
  t.match(named(checks, 'secrets'), [{ status: 'fail', message: /^INTERNAL_API_KEY holds what npm start made/ }])
  t.match(named(checks, 'connection'), [{ status: 'ok', message: 'a unix socket' }])
  await chmod(join(DATA_DIR, 'secrets.env'), 0o644)
  for (const env of [given, {}]) {
    const { json } = await run(['doctor'], { ...env, REDIS_URL: url, DATA_DIR })
    t.match(named(json.checks, 'secrets').at(-1), { status: 'fail', message: /secrets\.env can be read or changed by other users/ })
  }
})

t.test('lists the callers of the internal API with their scopes, without their keys', async t => {
  t.same(callerChecks(loadConfig({})), [])
  t.same(callerChecks(loadConfig({ INTERNAL_API_KEY: secret(), INTERNAL_API_KEYS: `login:open+revoke:${secret()}` })), [
    { name: 'callers', status: 'ok', message: 'the internal API has 2 keys: default (open, read, revoke, profile, introspect, oauth, console); login (open, revoke)' }
  ])
})

t.test('checks the security of connections and the lifetimes', async t => {
  const connection = (REDIS_URL: string): string[] =>
    connectionChecks({ ...loadConfig({}), NODE_ENV: 'production', REDIS_URL }).map(({ status, message }) => `${status} ${message.split(' ')[0]}`)
  t.same(connection('rediss://:word@cache'), ['ok TLS,'])
  t.same(connection('redis://:word@localhost'), ['ok local,'])
  t.same(connection('redis://:word@cache'), ['warn e-mail'])
  t.same(connection('redis+sentinel://cache/main'), ['warn REDIS_URL', 'warn e-mail'])

  const lifetimes = (env: Record<string, string>): string[] => findings(lifetimeChecks(loadConfig(env)))
  t.same(lifetimes({}), [])
  t.same(lifetimes({ ACCESS_TOKEN_TTL: '7200' }), ['warn lifetimes'])
  t.same(lifetimes({ REFRESH_IDLE_TTL: '900' }), ['warn lifetimes'])
  t.same(lifetimes({ REFRESH_RETRY_WINDOW: '0' }), ['warn lifetimes'])
})

t.test('checks persistence, memory, evictions and replication', async t => {
  const { client } = await startRedis(t, ['--appendfsync', 'everysec', '--hash-max-listpack-value', '256', '--maxmemory', '100mb'])
  const facts = await readFacts(client)
  const changed = (info: Record<string, string>, settings: Record<string, string> = {}): Facts =>
    ({ info: { ...facts.info, ...info }, settings: { ...facts.settings, ...settings } })
  const check = (...changes: Parameters<typeof changed>): string[] => findings(serverChecks(changed(...changes)))
  t.same(check({}), [])
  t.same(check({ valkey_version: '8.1.0' }), [])
  t.same(check({ aof_last_write_status: 'err' }), ['fail persistence'])
  t.same(check({}, { appendfsync: 'no' }), ['warn persistence'])
  t.same(check({ aof_enabled: '0' }), ['fail persistence'])
  t.same(check({ aof_enabled: '0' }, { save: '900 1' }), ['warn persistence'])
  t.same(check({ used_memory: '80000000', maxmemory: '100000000' }), ['warn memory'])
  t.same(check({ used_memory: '99000000', maxmemory: '100000000' }), ['fail memory'])
  t.same(check({ evicted_keys: '1' }), ['warn evictions'])
  t.same(check({}, { 'hash-max-listpack-entries': '16' }), ['warn listpack'])
  t.same(findings(serverChecks({ info: facts.info, settings: undefined })), ['unknown listpack'])
  t.match(serverChecks({ info: { ...facts.info, aof_enabled: '0' }, settings: undefined }).find(({ name }) => name === 'persistence'), {
    status: 'warn', message: /^no append-only file, and whether there are snapshots is unknown/
  })

  const replica = (text: string): Record<string, string> => ({ connected_slaves: '1', slave0: `ip=h,port=1,${text}`, master_repl_offset: '9000000' })
  const replication = (info: Record<string, string>, wanted = 0): string[] => findings(replicationChecks(changed(info), wanted))
  const good = { ...replica('state=online,offset=9000000,lag=0'), min_slaves_good_slaves: '1' }
  t.same(replication(good), [])
  t.same(replication(good, 1), [])
  t.same(replication(good, 2), ['fail replicas'])
  t.same(replication({ ...replica('state=online,offset=9000000,lag=0'), connected_slaves: '2' }), ['warn min-replicas'])
  t.same(replication({ ...good, ...replica('state=wait_bgsave,offset=9000000,lag=0') }), ['warn replicas'])
  t.same(replication({ ...good, ...replica('state=online,offset=9000000,lag=11') }), ['warn replicas'])
  t.same(replication({ ...good, ...replica('state=online,offset=1000000,lag=0') }), ['warn replicas'])
  t.same(findings(replicationChecks(changed({ min_slaves_good_slaves: '0' }, { 'min-replicas-to-write': '1' }), 0)), ['warn replicas', 'fail min-replicas'])
  t.same(findings(replicationChecks({ info: { ...facts.info, ...good, min_slaves_good_slaves: '0' }, settings: undefined }, 0)), ['fail min-replicas'])
})

t.test('checks clocks and latencies', async t => {
  const clocks = (...ahead: number[]): string[] => clockChecks(ahead.map(ahead => ({ server: 'h:1', ahead }))).map(({ status }) => status)
  t.same(clocks(0.5), ['ok'])
  t.same(clocks(-2, -2.1), ['warn', 'ok'])
  t.same(clocks(20, -20), ['warn', 'fail'])
  const latency = (worst: number, together: number): string => latencyCheck({ single: [1, 2, worst], together }).status
  t.same([latency(10, 10), latency(70, 10), latency(10, 70), latency(700, 10)], ['ok', 'warn', 'warn', 'fail'])
  t.match(latencyCheck({ single: [30, 1, 2], together: 4 }).message, 'takes 2.00 ms, the slowest of 3 30.00 ms;')
})
