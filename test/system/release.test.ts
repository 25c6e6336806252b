import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { claimsOf, postRefresh, tempFolder, type TokensBody } from '../support/helper.ts'
import { nodeArguments } from '../support/processes.ts'

/** The packages as they would be published: `npm run release:check`, then the packed service in an empty folder. */

const packed = await tempFolder(t)

t.test('npm run release:check finds no mistake', async t => {
  t.equal(JSON.parse(await readFile('package.json', 'utf8')).scripts['release:check'].split(' ').at(-1), 'scripts/release/check.ts')
  const output = execFileSync(process.execPath, [...nodeArguments('scripts/release/check.ts'), '--pack', packed], {
    encoding: 'utf8',
    // Excludes the compilers that it runs from coverage.
    env: { ...process.env, NODE_V8_COVERAGE: '' }
  })
  t.match(output, /^Version \S+ of refresh-token-service, .*refresh-token-validator.* can be released\.\n$/)
})

t.test('npx refresh-token-service starts the service on its own Redis in an empty folder', async t => {
  const { version } = JSON.parse(await readFile('package.json', 'utf8'))
  t.ok((await readdir(packed)).includes(`refresh-token-service-${version}.tgz`))
  const folder = await tempFolder(t)
  await mkdir(folder, { recursive: true })
  // Versions of package-lock.json: npm finds them in its cache, so that the test needs no network.
  const { packages } = JSON.parse(await readFile('package-lock.json', 'utf8')) as { packages: Record<string, { version: string, link?: true }> }
  const locked = Object.entries(packages).filter(([path, { link }]) => /^node_modules\/(@[^/]+\/)?[^/]+$/.test(path) && link !== true)
    .map(([path, { version }]) => [path.replace('node_modules/', ''), version])
  await writeFile(join(folder, 'package.json'), JSON.stringify({ overrides: Object.fromEntries(locked) }))
  const npm = (...args: string[]): string => execFileSync('npm', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  npm('install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', join(packed, `refresh-token-service-${version}.tgz`))

  const env = { PATH: process.env.PATH, HOME: folder, PORT: '0', INTERNAL_PORT: '0' }
  const child = spawn('npx', ['refresh-token-service'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'], detached: true })
  t.teardown(() => {
    try {
      process.kill(-child.pid!, 'SIGKILL')
    } catch {}
  })
  let ready: { public: string, internal: string, redis: string } | undefined
  for await (const line of createInterface(child.stdout)) {
    if (line.includes('is ready')) {
      ready = JSON.parse(line)
      break
    }
  }
  t.match(ready, { redis: /^embedded/, mode: 'development' })
  const secrets = await readFile(join(folder, '.data/secrets.env'), 'utf8')
  const [, key] = /^INTERNAL_API_KEY=(.+)$/m.exec(secrets)!
  const opened = await fetch(`${ready!.internal}/internal/sessions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ userId: 1, email: 'guest@keygenqt.com', role: 'GUEST', deviceId: 'a' })
  })
  const { refreshToken } = await opened.json() as TokensBody
  const refreshed = await (await postRefresh(ready!.public, refreshToken, 'a')).json() as TokensBody
  t.equal(claimsOf(refreshed.refreshToken).gen, 2)
  t.match(await (await fetch(`${ready!.internal}/docs/json`)).json(), { info: { version } })
  t.match(execFileSync('npx', ['refresh-token-service', 'sessions', '1'], { cwd: folder, env, encoding: 'utf8' }), /^User 1: guest@keygenqt\.com, GUEST, 1 session\n/)
  child.kill('SIGTERM')
  await once(child, 'exit')

  // Without redis-server on the PATH, the error says how to get it.
  const bin = join(folder, 'node_modules/.bin/refresh-token-service')
  const failed = spawn(process.execPath, [bin], { cwd: folder, env: { PATH: dirname(bin) } })
  let errors = ''
  failed.stderr.on('data', text => { errors += text })
  failed.stdout.resume()
  t.same(await once(failed, 'close'), [1, null])
  t.match(errors, /^REDIS_URL is not set, and there is no redis-server or valkey-server on the PATH to start\. Ways to one: .*\.\n$/)
})
