import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, symlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { claimsOf, environment, postRefresh, postSession, startRedis, tempFolder, type TokensBody } from '../support/helper.ts'

/** The compiled service as production runs it, built by the commands of package.json and the Dockerfile. */

t.test('the compiled service runs in production mode with no other program on the PATH', async t => {
  const folder = await tempFolder(t)
  for (const name of ['node_modules', 'package.json', 'tsconfig.json', 'tsconfig.build.json', 'src', 'plugins', 'routes']) {
    await symlink(resolve(name), join(folder, name))
  }
  const { scripts } = JSON.parse(await readFile('package.json', 'utf8'))
  const PATH = `${resolve('node_modules/.bin')}:${process.env.PATH}`
  execFileSync('sh', ['-c', scripts.compile], { cwd: folder, env: { PATH } })

  const redis = await startRedis(t)
  // npm and the Dockerfile link the command line under another name in another folder, without package.json beside it.
  const { bin, version } = JSON.parse(await readFile('package.json', 'utf8'))
  await symlink(join(folder, bin['refresh-token-service']), join(folder, 'refresh-token-service'))
  const cli = (...args: string[]): string =>
    execFileSync(join(folder, 'refresh-token-service'), args, { env: { PATH: dirname(process.execPath), REDIS_URL: redis.url }, encoding: 'utf8' })
  t.equal(cli('--version'), `${version}\n`)
  t.match(JSON.parse(cli('doctor', '--json')), { ok: true })

  const child = spawn(process.execPath, ['dist/src/server.js'], {
    cwd: folder,
    env: { PATH: '/nonexistent', NODE_ENV: 'production', PORT: '0', INTERNAL_PORT: '0', ...environment(redis.url), LOG_LEVEL: 'info', SHUTDOWN_DELAY: '0' },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => { child.kill('SIGKILL') })
  let ready: { public: string, internal: string, mode: string } | undefined
  for await (const line of createInterface(child.stdout)) {
    ready = JSON.parse(line)
    if (line.includes('is ready')) break
  }
  t.match(ready, { mode: 'production' })
  const { refreshToken } = await postSession(ready!.internal)
  const body = await (await postRefresh(ready!.public, refreshToken)).json() as TokensBody
  t.equal(claimsOf(body.refreshToken).gen, 2)
  t.match(await (await fetch(`${ready!.internal}/docs/json`)).json(), { paths: { '/api/ps/refresh': {} } })
  child.kill('SIGTERM')
  t.same(await once(child, 'exit'), [0, null])
})

t.test('the container runs the compiled build, not as root, and contains no secret', async t => {
  const dockerfile = await readFile('Dockerfile', 'utf8')
  t.match(dockerfile, /RUN npm ci\n[^]*RUN npm run compile && npm prune --omit=dev\n[^]*\/dist\/src\/cli\/main.js bin\/refresh-token-service\n[^]*COPY --from=build \/app\/bin \/usr\/local\/bin\nUSER node\n[^]*HEALTHCHECK[^]*CMD \["node", "dist\/src\/server.js"\]/)
  const compose = await readFile('docker-compose.yml', 'utf8')
  for (const name of ['ACCESS_TOKEN_SECRETS', 'REFRESH_TOKEN_SECRETS', 'INTERNAL_API_KEYS']) {
    t.match(compose, new RegExp(`${name}: \\$\\{${name}:\\?[^}]+\\}\n`), 'required from the environment')
    t.notOk(dockerfile.includes(name))
  }
})
