import { execFileSync } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { parse } from 'yaml'
import { changelogMistakes, lockMistakes, packMistakes, versionMistakes, workflowMistakes, type Manifest, type PackedFile } from './rules.ts'

// `npm run release:check`: checks a release without a registry, and publishes nothing. It builds and packs a
// copy of the tracked files. `--released` demands the changelog's section of the version; `--pack <folder>` keeps the packed files.

const { values: { released = false, pack } } = parseArgs({ options: { released: { type: 'boolean' }, pack: { type: 'string' } } })
const root = process.cwd()
const json = async (file: string): Promise<any> => JSON.parse(await readFile(file, 'utf8'))
const mistakes: string[] = []

/** Runs a program; adds its output to the mistakes when it fails. */
function run (cwd: string, program: string, ...args: string[]): string {
  try {
    const env = { ...process.env, PATH: `${resolve('node_modules/.bin')}:${process.env.PATH}` }
    return execFileSync(program, args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (err) {
    const { stdout, stderr } = err as { stdout: string, stderr: string }
    mistakes.push(`${program} ${args.join(' ')} failed:\n${stdout}${stderr}`)
    return ''
  }
}

const workspaces = (await json('package.json')).workspaces as string[]
const manifests: Record<string, Manifest> = {}
for (const folder of ['.', ...workspaces]) manifests[folder] = await json(join(folder, 'package.json'))
const { version, scripts = {} } = manifests['.']!

const config = (await json('release-please-config.json')).packages['.']
const raised = config['extra-files'].map(({ path }: { path: string }) => path)
mistakes.push(
  ...versionMistakes(manifests, (await json('.release-please-manifest.json'))['.'], raised),
  ...lockMistakes(manifests, await json('package-lock.json')),
  ...changelogMistakes(await readFile('CHANGELOG.md', 'utf8'), version, released)
)
for (const file of await readdir('.github/workflows')) {
  mistakes.push(...workflowMistakes(file, parse(await readFile(join('.github/workflows', file), 'utf8')), scripts))
}

const copy = await mkdtemp(join(tmpdir(), 'rts-release-'))
try {
  for (const file of run(root, 'git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard').split('\0').filter(file => file !== '')) {
    await mkdir(dirname(join(copy, file)), { recursive: true })
    await cp(file, join(copy, file)).catch(err => { if (err.code !== 'ENOENT') throw err })
  }
  await symlink(resolve('node_modules'), join(copy, 'node_modules'))
  run(copy, 'npm', 'run', 'build')
  for (const folder of ['.', ...workspaces]) await check(folder)
} finally {
  await rm(copy, { recursive: true, force: true })
}
for (const mistake of mistakes) console.error(mistake)
console.log(mistakes.length === 0 ? `Version ${version} of ${Object.values(manifests).map(({ name }) => name).join(', ')} can be released.` : 'Not ready.')
process.exitCode = mistakes.length === 0 ? 0 : 1

/** Packs a package of the copy and checks the packed file. */
async function check (folder: string): Promise<void> {
  const manifest = manifests[folder]!
  const target = pack === undefined ? copy : resolve(pack)
  await mkdir(target, { recursive: true })
  const output = run(join(copy, folder), 'npm', 'pack', '--json', '--pack-destination', target)
  if (output === '') return
  const [{ filename, files }] = JSON.parse(output) as [{ filename: string, files: Array<{ path: string, mode: number }> }]
  const packed: PackedFile[] = []
  for (const { path, mode } of files) {
    packed.push({ path, mode, ...path.endsWith('.js') && { text: await readFile(join(copy, folder, path), 'utf8') } })
  }
  mistakes.push(...packMistakes(manifest, packed))
  const tarball = join(target, filename)
  const { messages, pkg } = await publint({ pack: { tarball: new Uint8Array(await readFile(tarball)).buffer }, strict: true })
  // publint says that Node ignores `imports` in dist/package.json. Node takes it from the nearest package.json, inside packages too.
  const found = messages.filter(({ code }) => code !== 'NESTED_PACKAGE_JSON_FIELD_IGNORED')
  mistakes.push(...found.map(message => `publint on ${manifest.name}: ${formatMessage(message, pkg, { color: false })}`))
  // A package without an entry point is a command, and has no types.
  if (manifest.exports !== undefined) run(copy, 'attw', tarball, '--profile', 'esm-only')
}
