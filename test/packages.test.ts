import { spawnSync } from 'node:child_process'
import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { tempFolder } from './support/helper.ts'

/** The packages of package-lock.json are compatible with each other and with this Node, pinned, and scanned for vulnerabilities. */

// The overrides of package.json hold packages at the last versions whose own dependencies run on Node 20; drop them with Node 20.
// npm does not check a range that an override replaces, so this test removes the overrides.
t.test('every production package satisfies the version ranges of its dependents and runs on this Node', async t => {
  const folder = await tempFolder(t)
  const { overrides, ...manifest } = JSON.parse(await readFile('package.json', 'utf8'))
  await writeFile(join(folder, 'package.json'), JSON.stringify(manifest))
  await cp('package-lock.json', join(folder, 'package-lock.json'))
  // No network is needed: neither command fetches a package.
  for (const command of ['ls --package-lock-only --all', 'ci --dry-run --engine-strict --ignore-scripts']) {
    const { status, stderr } = spawnSync('npm', [...command.split(' '), '--omit=dev', '--offline'], { cwd: folder, encoding: 'utf8' })
    t.equal(status, 0, stderr)
  }
})

t.test('packages are pinned by hash and run no script when installed', async t => {
  interface Entry { integrity?: string, link?: boolean }
  const { packages } = JSON.parse(await readFile('package-lock.json', 'utf8')) as { packages: Record<string, Entry> }
  const fetched = Object.entries(packages).filter(([path, { link }]) => path.includes('node_modules/') && link !== true)
  const unnamed = fetched.filter(([, { integrity }]) => !/^sha512-/.test(integrity ?? ''))
  t.same(unnamed.map(([path]) => path), [])
  t.match(await readFile('.npmrc', 'utf8'), /^ignore-scripts=true$/m)
  t.match(await readFile('Dockerfile', 'utf8'), /COPY package\.json package-lock\.json \.npmrc \.\/\nRUN npm ci\n/)
  for (const file of await readdir('.github/workflows')) {
    const actions = [...(await readFile(join('.github/workflows', file), 'utf8')).matchAll(/uses: (\S+)/g)].map(([, action]) => action!)
    t.not(actions.length, 0, file)
    t.same(actions.filter(action => !/@[\da-f]{40}$/.test(action)), [], 'actions are pinned by commit')
  }
})

t.test('production packages are scanned for known vulnerabilities', async t => {
  const { on, jobs } = parse(await readFile('.github/workflows/dependencies.yml', 'utf8'))
  t.match(on, { push: { branches: ['main'] }, schedule: [{ cron: /\S/ }] })
  t.ok('pull_request' in on)
  t.equal(jobs.audit.steps.at(-1).run, 'npm audit --omit=dev --audit-level=moderate')
  t.match(jobs.review.steps.at(-1), { uses: /^actions\/dependency-review-action@/, with: { 'fail-on-severity': 'moderate' } })
  const { updates } = parse(await readFile('.github/dependabot.yml', 'utf8'))
  t.same(updates[0].directories, ['/', '/bench', '/docs'], 'every folder with a lock file')
})
