import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { linkPackages, putBuild } from '../support/build.ts'
import { openContext, startChromium } from '../support/chromium.ts'
import { startRedis, tempFolder } from '../support/helper.ts'

/** `examples/app.mjs`, an app of one file with the plugin, in a real browser. */

t.test('a page logs in, refreshes, calls a protected route and logs out', async t => {
  const folder = await tempFolder(t)
  for (const name of ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'src', 'plugins', 'routes', 'examples']) {
    await cp(name, join(folder, name), { recursive: true })
  }
  // A package finds itself by its own name.
  await linkPackages(folder)
  await putBuild(folder)

  const redis = await startRedis(t)
  const child = spawn(process.execPath, ['examples/app.mjs'], {
    cwd: folder, env: { REDIS_URL: redis.url, PORT: '0', DEMO_PASSWORD: 'for a test' }, stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => { child.kill('SIGKILL') })
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', text => { printed += text })
  const until = async (expected: RegExp): Promise<RegExpExecArray> => {
    for (;;) {
      const found = expected.exec(printed)
      if (found !== null) return found
      await once(child.stdout, 'data')
    }
  }
  const [, url] = await until(/The app: (\S+)\n/)

  const page = await (await openContext(t, await startChromium(t))).newPage()
  await page.goto(url!.replace('[::1]', 'localhost'))
  const call = async (method: string, path: string, body?: object, token = ''): Promise<[number, Record<string, string>]> => {
    const init = { method, headers: { Authorization: `Bearer ${token}`, ...body && { 'Content-Type': 'application/json' } }, body: body && JSON.stringify(body) }
    return await page.evaluate(`fetch(${JSON.stringify(path)}, ${JSON.stringify(init)})
      .then(async response => [response.status, await response.json().catch(() => ({}))])`)
  }
  const deviceId = 'a browser'
  const login = { email: 'Ada@example.com', password: 'for a test', deviceId }
  t.same(await call('POST', '/login', { ...login, password: 'wrong' }), [401, { code: 401, message: 'Unauthorized' }])
  t.equal((await call('POST', '/login', { ...login, email: 'eve@example.com' }))[0], 401)
  t.equal((await call('POST', '/login', { ...login, deviceId: ' ' }))[0], 400)
  const [status, opened] = await call('POST', '/login', login)
  t.equal(status, 200)
  const me = [200, { id: 1, email: 'ada@example.com', role: 'USER' }]
  t.same(await call('GET', '/me', undefined, opened.token), me)
  t.equal((await call('GET', '/me'))[0], 401)

  const [, refreshed] = await call('POST', '/api/ps/refresh', { deviceId, refreshToken: opened.refreshToken })
  t.same(await call('GET', '/me', undefined, refreshed.token), me)
  t.same(await call('POST', '/api/ps/logout', { deviceId, refreshToken: refreshed.refreshToken }), [204, {}])
  t.equal((await call('GET', '/me', undefined, refreshed.token))[0], 401)
  t.same(await call('POST', '/api/ps/refresh', { deviceId, refreshToken: refreshed.refreshToken }), [400, { code: 400, message: 'Bad Request' }])
  await until(/"ended","reason":"logout"/)
  t.notMatch(printed, 'eyJ', 'it prints no token')
  t.ok((await readFile('examples/app.mjs', 'utf8')).split('\n').length < 65)
})
