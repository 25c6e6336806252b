import { execFile, execFileSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { build as bundle } from 'esbuild'
import t, { type Test } from 'tap'
import { build, guest, startRedis, tempFolder } from '../support/helper.ts'

/** refresh-token-client as an app uses it: packed, installed in an empty folder, compiled, bundled, and run. */

const PACKAGE = resolve('packages/client')
const env = { ...process.env, PATH: `${resolve('node_modules/.bin')}:${process.env.PATH}` }

/** Runs a command, or a program of node_modules, in a folder; returns its output. */
function run (folder: string, command: string, ...args: string[]): string {
  return execFileSync(command, args, { cwd: folder, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

run(PACKAGE, 'npm', 'run', 'build')
const folder = await tempFolder(t)
const [packed] = JSON.parse(run(PACKAGE, 'npm', 'pack', '--json', '--pack-destination', folder))
const tarball = join(folder, packed.filename)

/** A folder in which the packed file is installed, alone. */
async function install (t: Test): Promise<string> {
  const folder = await tempFolder(t)
  await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'module', dependencies: { 'refresh-token-client': `file:${tarball}` } }))
  run(folder, 'npm', 'install', '--offline', '--no-audit', '--no-fund', '--engine-strict')
  return folder
}

t.test('publint and attw find no fault in the package', async t => {
  t.match(run(folder, 'publint', 'run', tarball, '--strict'), 'All good!')
  run(folder, 'attw', tarball, '--profile', 'esm-only')
})

t.test('the package contains the code, the types, the license and the README', async t => {
  t.same(packed.files.map(({ path }: { path: string }) => path).sort(), [
    'README.md', 'dist/LICENSE', 'dist/index.d.ts', 'dist/index.js', 'package.json'
  ])
})

t.test('it installs nothing else, and an app\'s bundle grows by less than 3 kB', async t => {
  const folder = await install(t)
  const { packages } = JSON.parse(await readFile(join(folder, 'node_modules/.package-lock.json'), 'utf8'))
  t.same(Object.keys(packages), ['node_modules/refresh-token-client'])
  await writeFile(join(folder, 'app.js'), "export * from 'refresh-token-client'")
  // For a browser: an import of Node's own modules would fail here.
  const { outputFiles } = await bundle({
    absWorkingDir: folder, entryPoints: ['app.js'], bundle: true, minify: true, format: 'esm', platform: 'browser', write: false
  })
  const size = gzipSync(outputFiles[0]!.contents).length
  t.comment(`${size} bytes`)
  t.ok(size < 3000, `${size} bytes`)
})

t.test('its types and the sample of the README compile with the libraries of a browser and with those of Node', async t => {
  const folder = await install(t)
  const sample = /```ts\n([^]*?)```/.exec(await readFile(join(PACKAGE, 'README.md'), 'utf8'))![1]!
  const app = `${sample}
    import { SessionError, memoryStorage, type SessionEvent, type TokenStorage } from 'refresh-token-client'

    const storage: TokenStorage = memoryStorage()
    const other = createSession({ refreshUrl: '/', deviceId: 'x', storage, fetch: async input => new Response(String(input)) })
    const tokens: Tokens = { id: 'user_1', email: '', role: '', token: 'a', refreshToken: 'b' }
    await other.logIn(tokens)
    other.subscribe((event: SessionEvent) => event.profile?.id satisfies number | string | undefined)
    await other.getAccessToken().catch(err => err instanceof SessionError && err.code === 'logged-out')
    export { response, token }
  `
  await writeFile(join(folder, 'app.ts'), app)
  const base = { module: 'NodeNext', target: 'ES2022', strict: true, noEmit: true, skipLibCheck: false, typeRoots: [resolve('node_modules/@types')] }
  const libraries = { browser: { lib: ['ES2022', 'DOM', 'DOM.Iterable'], types: [] }, node: { lib: ['ES2022'], types: ['node'] } }
  for (const [name, options] of Object.entries(libraries)) {
    await writeFile(join(folder, `tsconfig.${name}.json`), JSON.stringify({ compilerOptions: { ...base, ...options }, files: ['app.ts'] }))
    for (const compiler of ['typescript-5', 'typescript']) {
      run(folder, process.execPath, resolve('node_modules', compiler, 'bin/tsc'), '-p', `tsconfig.${name}.json`)
    }
  }
  t.pass('they compile')
})

t.test('the installed package keeps a session of the service', async t => {
  const folder = await install(t)
  const service = await build(t, await startRedis(t))
  const url = await service.public.listen({ host: '127.0.0.1', port: 0 })
  await writeFile(join(folder, 'app.js'), `
    import { createSession, memoryStorage } from 'refresh-token-client'

    const session = createSession({ refreshUrl: process.env.URL + '/api/ps/refresh', deviceId: process.env.DEVICE, storage: memoryStorage() })
    const types = []
    session.subscribe(({ type }) => types.push(type))
    await session.getProfile()
    await session.logIn(JSON.parse(process.env.TOKENS))
    await session.getAccessToken(await session.getAccessToken())
    const profile = await session.getProfile()
    await session.logOut()
    console.log(JSON.stringify({ profile, types }))
  `)
  const settings = { URL: url, DEVICE: guest.deviceId, TOKENS: JSON.stringify(await service.open()) }
  // Not in this thread, which runs the service.
  const { stdout } = await promisify(execFile)(process.execPath, ['app.js'], { cwd: folder, env: settings })
  t.same(JSON.parse(stdout), {
    profile: { id: 1, email: guest.email, role: guest.role }, types: ['logged-in', 'refreshed', 'logged-out']
  })
  t.same((await service.call('GET', '/internal/users/1/sessions')).json(), { sessions: [] })
})
