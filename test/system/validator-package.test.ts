import { execFileSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { build, secret, startRedis, tempFolder } from '../support/helper.ts'
import { optionsFor } from '../validator/helper.ts'

/** The package as another service uses it: packed, installed in an empty folder, compiled with that service, and run. */

const PACKAGE = resolve('packages/validator')
const env = { ...process.env, PATH: `${resolve('node_modules/.bin')}:${process.env.PATH}` }

/** Runs a command, or a program of node_modules, in a folder; returns its output. */
function run (folder: string, command: string, ...args: string[]): string {
  return execFileSync(command, args, { cwd: folder, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** Versions of package-lock.json: npm finds them in its cache, so that the test needs no network. */
const locked: Record<string, string> = Object.fromEntries(
  Object.entries(JSON.parse(await readFile('package-lock.json', 'utf8')).packages as Record<string, { version: string, link?: true }>)
    .filter(([path, { link }]) => /^node_modules\/(@[^/]+\/)?[^/]+$/.test(path) && link !== true)
    .map(([path, { version }]) => [path.replace('node_modules/', ''), version])
)

run(PACKAGE, 'npm', 'run', 'build')
const folder = await tempFolder(t)
const [packed] = JSON.parse(run(PACKAGE, 'npm', 'pack', '--json', '--pack-destination', folder))
const tarball = join(folder, packed.filename)

/** A folder in which the packed file and these packages of the repository are installed. */
async function install (t: Test, names: string[], ...flags: string[]): Promise<string> {
  const folder = await tempFolder(t)
  await writeFile(join(folder, 'package.json'), JSON.stringify({
    type: 'module',
    dependencies: { 'refresh-token-validator': `file:${tarball}`, ...Object.fromEntries(names.map(name => [name, locked[name]])) },
    overrides: Object.fromEntries(Object.entries(locked).filter(([name]) => !names.includes(name)))
  }))
  run(folder, 'npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', ...flags)
  return folder
}

/** Compiles programs with TypeScript 5 and 6, which also check the types of the installed packages. */
async function compile (folder: string, programs: Record<string, string>): Promise<void> {
  for (const [name, text] of Object.entries(programs)) await writeFile(join(folder, name), text)
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({
    compilerOptions: { module: 'NodeNext', target: 'ES2022', strict: true, types: ['node'], skipLibCheck: false, rootDir: '.' },
    files: Object.keys(programs)
  }))
  for (const name of ['typescript-5', 'typescript']) run(folder, process.execPath, resolve('node_modules', name, 'bin/tsc'))
}

t.test('publint and attw find no fault in the package', async t => {
  t.match(run(folder, 'publint', 'run', tarball, '--strict'), 'All good!')
  run(folder, 'attw', tarball, '--profile', 'esm-only')
})

t.test('the package contains the code, the types, the license and the README', async t => {
  t.same(packed.files.map(({ path }: { path: string }) => path).sort(), [
    'README.md', 'dist/LICENSE', 'dist/fastify.d.ts', 'dist/fastify.js', 'dist/index.d.ts', 'dist/index.js', 'dist/validator.js', 'package.json'
  ])
})

t.test('the plain function installs twelve packages, which all support this Node, without Fastify', async t => {
  const folder = await install(t, ['@types/node'], '--engine-strict')
  const { packages } = JSON.parse(await readFile(join(folder, 'node_modules/.package-lock.json'), 'utf8'))
  const names = Object.keys(packages).map(path => path.replace('node_modules/', ''))
  t.same(names.filter(name => name !== '@types/node' && name !== 'undici-types'), [
    '@ioredis/commands', 'cluster-key-slot', 'debug', 'denque', 'fastify-plugin', 'ioredis', 'jose', 'lru-cache', 'ms', 'redis-errors',
    'refresh-token-validator', 'standard-as-callback'
  ])
  const service = `
    import { createSessionValidator, SessionValidationError, type ValidSession } from 'refresh-token-validator'

    const validator = createSessionValidator({ redisUrl: process.env.REDIS_URL, prefix: process.env.PREFIX!, secrets: process.env.SECRETS })
    const session: ValidSession = await validator.validate(process.env.TOKEN!)
    const id: number | string = session.id
    const code: string = await validator.validate('x').then(() => 'none', err => err instanceof SessionValidationError ? err.code : 'other')
    console.log(id, code)
    await validator.close()
  `
  await compile(folder, { 'service.ts': service })
  t.equal(await serve(t, folder), '1 malformed\n')
})

t.test('the Fastify plugin and the samples of the README compile and run', async t => {
  const folder = await install(t, ['@types/node', 'fastify'])
  const [plain, fastify] = [...(await readFile(join(PACKAGE, 'README.md'), 'utf8')).matchAll(/```ts\n([^]*?)```/g)].map(([, code]) => code)
  const service = `
    import Fastify from 'fastify'
    import { createSessionValidator } from 'refresh-token-validator'
    import { sessionValidation } from 'refresh-token-validator/fastify'

    const app = Fastify()
    const validator = createSessionValidator({ redisUrl: process.env.REDIS_URL, prefix: process.env.PREFIX!, secrets: process.env.SECRETS })
    await app.register(sessionValidation, { validator })
    app.get('/', { onRequest: app.requireSession({ roles: ['GUEST'] }) }, async request => request.session?.email)
    for (const token of [process.env.TOKEN, 'x']) {
      console.log((await app.inject({ url: '/', headers: { authorization: \`Bearer \${token}\` } })).body)
    }
    await validator.close()
  `
  await compile(folder, { 'service.ts': service, 'readme.ts': `${plain}${fastify}` })
  t.equal(await serve(t, folder), 'guest@keygenqt.com\n{"code":401,"message":"Unauthorized"}\n')
})

/** Runs the compiled program beside a service, with a token of that service; returns its output. */
async function serve (t: Test, folder: string): Promise<string> {
  const redis = await startRedis(t)
  const service = await build(t, redis)
  const { token } = await service.open()
  const { prefix, secrets } = optionsFor(service)
  const env = { REDIS_URL: redis.url, PREFIX: prefix!, SECRETS: `${secret()},${String(secrets)}`, TOKEN: token }
  return execFileSync(process.execPath, ['service.js'], { cwd: folder, env, encoding: 'utf8' })
}
