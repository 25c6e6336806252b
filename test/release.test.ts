import { execFileSync } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { changelogMistakes, lockMistakes, packMistakes, versionMistakes, workflowMistakes, type Manifest } from '../scripts/release/rules.ts'
import { tempFolder } from './support/helper.ts'
import { nodeArguments } from './support/processes.ts'

/** The rules of `npm run release:check`, on right and wrong input. test/system/release.test.ts runs the whole check. */

const service: Manifest = { name: 'service', version: '1.2.3', license: 'MIT', workspaces: ['a'], dependencies: { x: '^1', b: '^2' } }
const a: Manifest = { name: 'a', version: '1.2.3', license: 'MIT' }

t.test('versions are equal, and release-please raises each', async t => {
  const mistakes = (change: Partial<Manifest>, released = '1.2.3', raised = ['a/package.json']): string[] =>
    [...versionMistakes({ '.': service, a: { ...a, ...change } }, released, raised)]
  t.same(mistakes({}), [])
  t.same(mistakes({}, '0.0.0'), [], 'before the first release')
  t.same(mistakes({ version: '1.2.4' }), ['a has version 1.2.4, and the service 1.2.3.'])
  t.same(mistakes({ private: true }), ['a is private: it can\'t be published.'])
  t.same(mistakes({ license: undefined as any }), ['a has no license.'])
  t.same(mistakes({}, '1.2.2'), ['.release-please-manifest.json has version 1.2.2, and the service 1.2.3.'])
  t.same(mistakes({}, '1.2.3', ['*/package.json']), [])
  t.same(mistakes({}, '1.2.3', ['b/package.json']), ['release-please-config.json does not raise the version of a/package.json: add it to extra-files.'])
})

t.test('the lock file is in step', async t => {
  const mistakes = (root: object, entry: object = { version: '1.2.3' }): string[] =>
    [...lockMistakes({ '.': service, a }, { packages: { '': { ...service, ...root }, a: { ...entry } } })]
  t.same(mistakes({ dependencies: { b: '^2', x: '^1' } }), [])
  t.same(mistakes({ dependencies: { b: '^2' } }), ['package-lock.json has another dependencies of service: run npm install.'])
  t.same(mistakes({}, {}), ['package-lock.json has another version of a: run npm install.'])
})

t.test('the changelog has a section of the version, or entries for it', async t => {
  const unreleased = '# Changelog\n\n## [Unreleased]\n\n### Added\n\n- it\n'
  const released = '# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-11-30\n\n- it\n'
  t.same([...changelogMistakes(released, '1.2.3', true), ...changelogMistakes(unreleased, '1.2.3', false)], [])
  t.same([...changelogMistakes(unreleased, '1.2.3', true)], ['CHANGELOG.md has no section "## [1.2.3] - <date>".'])
  t.same([...changelogMistakes(released, '1.2.4', false)], ['CHANGELOG.md has no line in its section "## [Unreleased]".'])

  const folder = await tempFolder(t)
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'package.json'), '{"version":"1.2.3"}')
  await writeFile(join(folder, 'CHANGELOG.md'), unreleased)
  const [flags, program] = [nodeArguments('scripts/release/changelog.ts').slice(0, -1), nodeArguments('scripts/release/changelog.ts').at(-1)!]
  for (const run of ['first run', 'second run']) {
    execFileSync(process.execPath, [...flags.map(flag => flag.replace('./', `${process.cwd()}/`)), resolve(program)], { cwd: folder })
    const written = await readFile(join(folder, 'CHANGELOG.md'), 'utf8')
    t.equal(written.replace(/\d{4}-\d\d-\d\d/, '2026-11-30'), released.replace('\n\n- it', '\n\n### Added\n\n- it'), run)
    t.same([...changelogMistakes(written, '1.2.3', true)], [])
  }
})

t.test('a package has only allowed files and working commands', async t => {
  const command = { path: 'dist/main.js', mode: 0o755, text: '#!/usr/bin/env node\nx' }
  const files = ['package.json', 'README.md', 'LICENSE', 'dist/package.json', 'dist/a/b.d.ts', 'dist/a/b.lua'].map(path => ({ path, mode: 0o644 }))
  const mistakes = (...others: Array<{ path: string, mode?: number, text?: string }>): string[] =>
    [...packMistakes({ name: 'a', bin: { a: 'dist/main.js' } }, [...files, command, ...others.map(file => ({ mode: 0o644, ...file }))])]
  t.same(mistakes(), [])
  for (const path of ['dist/test/x.js', 'dist/src/x.test.js', 'dist/x.js.map', 'src/x.ts', '.env', 'dist/node_modules/x/x.js']) {
    t.same(mistakes({ path }), [`a contains ${path}.`])
  }
  t.same(mistakes({ path: 'dist/x.js', text: 'x\n//# sourceMappingURL=x.js.map' }), ['a names a source map in dist/x.js, which it does not contain.'])
  t.same([...packMistakes({ name: 'a', bin: { a: 'dist/main.js' } }, [])], ['a lacks package.json.', 'a lacks README.md.', 'a lacks its LICENSE.', 'a lacks its command dist/main.js.'])
  for (const change of [{ mode: 0o644 }, { text: 'x' }]) {
    t.same([...packMistakes({ name: 'a', bin: { a: 'dist/main.js' } }, [...files, { ...command, ...change }])], ['a has a command that can\'t run: dist/main.js.'])
  }
})

t.test('a workflow is complete, with pinned actions and existing scripts', async t => {
  const mistakes = (job: object, on: unknown = 'push'): string[] =>
    [...workflowMistakes('x.yml', { on, jobs: { a: { steps: [{ run: 'npm run build' }] }, b: job } }, { build: 'x' })]
  const uses = `actions/checkout@${'a'.repeat(40)}`
  t.same(mistakes({ needs: 'a', steps: [{ uses }] }), [])
  t.same(mistakes({ needs: ['c'], steps: [{ uses }] }), ['x.yml: b needs c, which does not exist.'])
  t.same(mistakes({ steps: [{ uses: 'actions/checkout@v4' }] }), ['x.yml: actions/checkout@v4 is not pinned by its commit.'])
  t.same(mistakes({ steps: [{ run: 'x && npm run built' }] }), ['x.yml: there is no script built.'])
  t.same(mistakes({}), ['x.yml: b has no steps.'])
  t.same([...workflowMistakes('x.yml', {}, {})], ['x.yml has no trigger or no job.'])
})

t.test('the release is signed and attested, and its image has a digest as base', async t => {
  const { permissions, jobs } = parse(await readFile('.github/workflows/release.yml', 'utf8'))
  t.same(permissions, { contents: 'read' })
  const runs = (job: string): string => jobs[job].steps.map(({ run = '' }: { run?: string }) => run).join('\n')
  for (const job of ['packages', 'image']) t.match(jobs[job], { needs: 'propose', if: /created == 'true'$/, permissions: { contents: 'read', 'id-token': 'write' } })
  t.match(runs('packages'), /npm publish "\$file" --provenance --access public/)
  t.match(runs('image'), /--platform linux\/amd64,linux\/arm64/)
  t.match(runs('image'), /--sbom=true --provenance=mode=max/)
  t.match(runs('image'), /cosign sign --yes "\$image@/)
  const bases = [...(await readFile('Dockerfile', 'utf8')).matchAll(/^FROM (?:--\S+ )?(\S+)/gm)].map(([, base]) => base)
  t.same(bases, [jobs.image.env.BASE, jobs.image.env.BASE], 'the workflow replaces the base image of both stages')
  for (const job of Object.values(jobs) as Array<{ steps: Array<{ run?: string }> }>) {
    for (const { run } of job.steps) if (run !== undefined) execFileSync('bash', ['-n', '-c', run.replace(/\$\{\{.*?\}\}/g, 'x')])
  }
})
