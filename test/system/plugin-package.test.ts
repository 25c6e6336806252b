import { execFileSync } from 'node:child_process'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { publint } from 'publint'
import t from 'tap'
import { linkPackages, putBuild } from '../support/build.ts'
import { secret, startRedis, tempFolder } from '../support/helper.ts'

/** The package as an app uses it: packed, installed in an empty folder, compiled with that app, and run. */

const env = { ...process.env, PATH: `${resolve('node_modules/.bin')}:${process.env.PATH}` }

/** Runs a command, or a program of node_modules, in a folder; returns its output. */
function run (folder: string, command: string, ...args: string[]): string {
  return execFileSync(command, args, { cwd: folder, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

const manifest = JSON.parse(await readFile('package.json', 'utf8'))
const lock: Array<[path: string, entry: { version: string, link?: true }]> = Object.entries(JSON.parse(await readFile('package-lock.json', 'utf8')).packages)
const nested = new Set(lock.map(([path]) => path.split('node_modules/')).filter(({ length }) => length > 2).map(parts => parts.at(-1)!))

/** Versions of package-lock.json: npm finds them in its cache, so that the test needs no network. */
const locked: Record<string, string> = Object.fromEntries(
  lock.filter(([path, { link }]) => /^node_modules\/(@[^/]+\/)?[^/]+$/.test(path) && link !== true)
    .map(([path, { version }]) => [path.replace('node_modules/', ''), version])
)

/** Builds a copy, so that compiling disturbs no other test. */
async function pack (): Promise<string> {
  const folder = await tempFolder(t)
  for (const name of ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'LICENSE', 'README.md', 'src', 'plugins', 'routes', 'scripts']) {
    await cp(name, join(folder, name), { recursive: true })
  }
  await linkPackages(folder)
  await putBuild(folder)
  run(folder, 'npm', 'run', 'bundle:types')
  const [packed] = JSON.parse(run(folder, 'npm', 'pack', '--json'))
  return join(folder, packed.filename)
}

const tarball = await pack()

t.test('publint and attw find no fault in the package', async t => {
  const { messages } = await publint({ pack: { tarball: new Uint8Array(await readFile(tarball)).buffer }, strict: true })
  // publint says that Node ignores `imports` in dist/package.json. Node takes them from the nearest package.json.
  t.same(messages.filter(({ code }) => code !== 'NESTED_PACKAGE_JSON_FIELD_IGNORED').map(({ code, path }) => ({ code, path })), [])
  run('.', 'attw', tarball, '--profile', 'esm-only')
})

t.test('an app in an empty folder compiles with TypeScript 5 and 6, and runs', async t => {
  const folder = await tempFolder(t)
  const names = ['@types/node', '@fastify/redis', 'fastify', 'ioredis']
  await writeFile(join(folder, 'package.json'), JSON.stringify({
    type: 'module',
    dependencies: { 'refresh-token-service': `file:${tarball}`, ...Object.fromEntries(names.map(name => [name, locked[name]])) },
    overrides: {
      ...Object.fromEntries(Object.entries(locked).filter(([name]) => !names.includes(name) && !nested.has(name))),
      ...manifest.overrides
    }
  }))
  run(folder, 'npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', '--engine-strict')
  const [sample, two] = [...(await readFile('docs/plugin.md', 'utf8')).matchAll(/```ts\n([^]*?)```/g)].map(([, code]) => code!)
  const app = `
    import Fastify from 'fastify'
    import { Redis } from 'ioredis'
    import refreshTokens, { type Sessions, type TokensOfSession } from 'refresh-token-service'
    import { build } from './two.js'

    const redis = new Redis(process.env.REDIS_SOCKET!)
    const options = { redis, refreshTokenSecrets: process.env.ONE!, accessTokenSecrets: process.env.TWO! }
    const app = Fastify()
    await app.register(refreshTokens, options)
    const sessions: Sessions = app.sessions
    const opened: TokensOfSession = await sessions.open({ userId: 'user_1', email: 'ada@example.com', role: 'USER', deviceId: 'x' })
    const response = await app.inject({ method: 'POST', url: '/api/ps/refresh', payload: { deviceId: 'x', refreshToken: opened.refreshToken } })
    console.log(Object.keys(response.json()).join(), (await sessions.verify(response.json().token)).id)
    await app.close()
    const both = await build(options, { ...options, refreshTokenSecrets: process.env.THREE! })
    console.log((await both.inject({ method: 'POST', url: '/admin/refresh', payload: {} })).body)
    await both.close()
    await redis.quit()
  `
  const programs: Record<string, string> = { 'app.ts': app, 'sample.ts': sample!, 'two.ts': two! }
  for (const [name, text] of Object.entries(programs)) await writeFile(join(folder, name), text)
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({
    // The types of @fastify/redis, for the sample, need those of its own dependencies.
    compilerOptions: { module: 'NodeNext', target: 'ES2022', strict: true, types: ['node'], skipLibCheck: false, rootDir: '.' },
    files: Object.keys(programs)
  }))
  for (const name of ['typescript-5', 'typescript']) run(folder, process.execPath, resolve('node_modules', name, 'bin/tsc'))

  const redis = await startRedis(t)
  const printed = execFileSync(process.execPath, ['app.js'], {
    cwd: folder, encoding: 'utf8', env: { REDIS_SOCKET: redis.url.replace('redis+socket://', ''), ONE: secret(), TWO: secret(), THREE: secret() }
  })
  t.equal(printed, 'id,email,role,token,refreshToken user_1\n{"code":400,"message":"Bad Request"}\n')
})
