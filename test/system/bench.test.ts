import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, readFile, readdir, symlink } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { startLoad } from '../../bench/harness/load.ts'
import type { FeatureResult } from '../../bench/suites/features.ts'
import type { ProfileResult } from '../../bench/suites/profile.ts'
import { putBuild } from '../support/build.ts'
import { tempFolder } from '../support/helper.ts'

/**
 * `npm run bench` works: a quick run with a few refreshes of the contenders that need no packages of their own. So few
 * refreshes measure nothing, so the tests don't check the figures.
 */

// Starts two dozen processes, one after another.
t.setTimeout(600_000)

/** Copies the bench into a temporary folder, so that the test changes neither the build nor the results of the working tree. */
async function copy (t: Test): Promise<string> {
  const folder = await tempFolder(t)
  for (const name of ['node_modules', 'package.json', 'tsconfig.json', 'tsconfig.build.json', 'src', 'plugins', 'routes', 'test']) {
    await symlink(resolve(name), join(folder, name))
  }
  await mkdir(join(folder, 'bench'))
  for (const name of ['scripts', ...(await readdir('bench')).filter(name => name !== 'node_modules').map(name => `bench/${name}`)]) {
    await cp(name, join(folder, name), { recursive: true })
  }
  return folder
}

t.test('the bench', async t => {
  const folder = await copy(t)
  const PATH = `${resolve('node_modules/.bin')}:${process.env.PATH}`
  await putBuild(folder)
  const results = join(folder, 'results')
  const bench = (...args: string[]) =>
    spawnSync(process.execPath, ['--import', './scripts/typescript.mjs', 'bench/run.ts', '--results', results, ...args], {
      cwd: folder, env: { PATH }, encoding: 'utf8'
    })
  // The other suites use the same modules, so these are enough.
  const suites = ['speed', 'race', 'growth', 'profile', 'features']

  await t.test('runs its suites, and writes a file for each suite, tables and plots', async t => {
    const { status, stdout, stderr } = bench('--quick', '--only', 'ours,ceiling', ...suites)
    t.equal(status, 0, stderr)
    t.match(stdout, /^The ceiling's CPU relative to the CPU of a refresh: .*, not decided by a quick run$/m)
    t.notMatch(stdout, 'MISSED', 'a quick run misses no goal')
    t.match(stdout, /^met +Tokens double-spent, 3 races of 8 copies: 0/m)
    t.same((await readdir(results)).sort(), [
      ...suites.map(name => `${name}.json`), 'report.md', 'summary.md', 'growth.svg', 'latency.svg', 'speed.svg'
    ].sort())
    const { machine, results: { ours, ceiling } } = JSON.parse(await readFile(join(results, 'speed.json'), 'utf8'))
    t.match(machine, { node: process.versions.node, packages: { fastify: String } })
    t.ok(ours.refreshes > 0 && ceiling.refreshes > 0)
    t.match(JSON.parse(await readFile(join(results, 'race.json'), 'utf8')), { results: { ours: { doubleSpent: 0, lostSessions: 0 } } })
    // 16 users, and two keys that the replicas of a deployment share.
    t.match(JSON.parse(await readFile(join(results, 'growth.json'), 'utf8')), { results: { ours: { points: Array(3).fill({ keys: 18 }) } } })

    const features = JSON.parse(await readFile(join(results, 'features.json'), 'utf8')).results as FeatureResult[]
    t.same(features.filter(({ refresh }) => refresh === undefined).map(({ name }) => name), ['no device'])
    const bytesOf = (name: string): number => features.find(feature => feature.name.startsWith(name))!.bytes
    for (const name of ['user claims', 'session claims', 'user id']) t.ok(bytesOf(name) > bytesOf('plain'), name)
    t.ok(bytesOf('no e-mail') < bytesOf('plain'))

    const report = await readFile(join(results, 'report.md'), 'utf8')
    for (const text of ['| refresh-token-service | ', '| ceiling | ', '![Latency', 'its figures mean nothing']) t.match(report, text)
    t.notMatch(report, /NaN|undefined|Infinity/)
    t.match(await readFile(join(results, 'speed.svg'), 'utf8'), /^<svg [^]*refresh-token-service[^]*<\/svg>\n$/)

    const readProfile = async (): Promise<ProfileResult> => JSON.parse(await readFile(join(results, 'profile.json'), 'utf8')).results
    const missing = new Set(['HTTP', 'Redis client', 'verify', 'sign'])
    // A busy machine may leave too little time for a sample of each part.
    for (let n = 0; missing.size > 0 && n < 5; n++) {
      if (n > 0) bench('--quick', '--only', 'ours', 'profile')
      const { cpu, parts: shares } = await readProfile()
      t.ok(Math.abs(shares.reduce((sum, part) => sum + part.cpu, 0) - cpu) < 1e-6)
      for (const { name } of shares) missing.delete(name)
    }
    t.same([...missing], [])
  })

  await t.test('lists its suites and contenders when asked for an unknown one', async t => {
    t.match(bench('start', '--only', 'us'), { status: 1, stderr: /^Suites: speed, race, .*, report\. Contenders \(--only\): ours, ceiling, / })
  })
})

t.test('a run rejects when an answer is wrong', async t => {
  const token = 'a token of the session'
  const answers: Record<string, RequestListener> = {
    'the same token again': (_request, response) => { response.end(JSON.stringify({ refreshToken: token })) },
    'no token': (_request, response) => { response.end('{}') },
    'another status': (_request, response) => { response.writeHead(500).end('{"refreshToken":"another token of the session"}') },
    'no answer': (_request, response) => { response.destroy() }
  }
  const load = startLoad(false)
  t.teardown(load.stop)
  for (const [title, listener] of Object.entries(answers)) {
    const server = createServer(listener).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const urls = [`http://127.0.0.1:${(server.address() as AddressInfo).port}`]
    const protocol = { path: '/', contentType: 'application/json', before: '"', after: '"', field: 'refreshToken', rotates: true }
    await load.sessions({ name: 'ours', urls, protocol }, [token], title)
    await t.rejects(load.count(title, { connections: 1, count: 3 }), { message: `${title}: 3 of 3 answers were wrong; the first:\n` }, title)
    server.close()
  }
})
